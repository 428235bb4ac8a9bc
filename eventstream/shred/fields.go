package shred

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/gaplesspg/gapless/internal/invalid"
)

// tagKey is the struct tag: `shred:"subject"` and `shred:"personal"`, and with a name, for several subjects in one struct,
// `shred:"subject:payer"` and `shred:"personal:payer"`.
const tagKey = "shred"

// Forgotten are the fields of an event whose subjects were forgotten, as JSON pointers into its payload, sorted. A struct that has a field of
// this type, with the tag `json:"-"`, is told when it is decoded.
type Forgotten []string

// Has says whether a field is among them: "/name" is the field whose JSON name is name.
func (f Forgotten) Has(pointer string) bool { return slices.Contains(f, pointer) }

// field is one of a struct, by its place in it.
type field struct {
	index int
	// name is its name in JSON; empty for an embedded struct, whose fields are those of the struct around it.
	name     string
	optional bool
	role     role
	// subject is which of the subjects of the struct it names or belongs to.
	subject string
}

type role int

const (
	plain role = iota
	subject
	personal
)

// plan is what is to be looked at in a struct.
type plan struct {
	fields []field
	// told is the index of the field of type Forgotten; -1 if there is none.
	told int
	err  error
}

var (
	plans         sync.Map // of reflect.Type to *plan
	forgottenType = reflect.TypeFor[Forgotten]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	texterType    = reflect.TypeFor[encoding.TextMarshaler]()
)

func planOf(t reflect.Type) *plan {
	if known, found := plans.Load(t); found {
		p, _ := known.(*plan)
		return p
	}
	p := &plan{told: -1}
	for i := range t.NumField() {
		p.add(t, i)
	}
	if p.err == nil && p.tagged() && (writesItself(t) || writesItself(reflect.PointerTo(t))) {
		p.err = errWritesItself(t)
	}
	plans.Store(t, p)
	return p
}

func errWritesItself(t reflect.Type) error {
	return invalid.Value("shred tags in "+t.String(), "a type with MarshalJSON or MarshalText", "in a type whose JSON encoding/json writes, field by field")
}

func writesItself(t reflect.Type) bool {
	return t.Implements(marshalerType) || t.Implements(texterType)
}

func (p *plan) tagged() bool {
	return slices.ContainsFunc(p.fields, func(f field) bool { return f.role != plain })
}

// add plans one field.
func (p *plan) add(t reflect.Type, i int) {
	f := t.Field(i)
	tag, isTagged := f.Tag.Lookup(tagKey)
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	where := t.String() + "." + f.Name
	switch {
	case f.Type == forgottenType:
		if p.told = i; f.Tag.Get("json") != "-" || !f.IsExported() {
			p.fail("json tag of "+where, f.Tag.Get("json"), `"-", on an exported field: it says what was forgotten, and is no part of the event`)
		}
		return
	case f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous:
		if isTagged {
			p.fail("shred tag of "+where, tag, "on a field that is exported and written to JSON")
		}
		return
	case name != "" && !isJSONName(name):
		name = ""
	}
	planned := field{index: i, name: name, optional: hasOption(options, "omitempty") || hasOption(options, "omitzero")}
	inner := f.Type
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	if name == "" && (!f.Anonymous || inner.Kind() != reflect.Struct) {
		planned.name = f.Name
	}
	if isTagged {
		p.tag(&planned, where, tag, f.Type)
	}
	p.fields = append(p.fields, planned)
}

func (p *plan) tag(f *field, where, tag string, t reflect.Type) {
	kind, name, named := strings.Cut(tag, ":")
	f.subject = name
	switch {
	case kind == "subject" && (!named || name != ""):
		if f.role = subject; t.Kind() != reflect.String && !t.Implements(texterType) {
			p.fail("shred tag of "+where, t.String(), "on a string, or on a type with MarshalText, if it names the subject")
		}
	case kind == "personal" && (!named || name != ""):
		f.role = personal
		if f.name == "" {
			p.fail("shred tag of "+where, tag, "on the fields of an embedded struct, rather than on that")
		}
	default:
		p.fail("shred tag of "+where, tag, `"subject" or "personal", with a colon and a name where there are several subjects`)
	}
}

func (p *plan) fail(name, value, rule string) {
	if p.err == nil {
		p.err = invalid.Value(name, value, rule)
	}
}

func hasOption(options, option string) bool {
	return slices.Contains(strings.Split(options, ","), option)
}

// isJSONName says whether encoding/json takes a name from a tag; it uses that of the field otherwise.
func isJSONName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}

// mayHold says whether a value of a type can have a tagged field in it: struct fields that lead to none need not be walked.
func mayHold(t reflect.Type, seen map[reflect.Type]bool) (bool, error) {
	switch t.Kind() {
	case reflect.Interface:
		return true, nil
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return mayHold(t.Elem(), seen)
	case reflect.Struct:
	default:
		return false, nil
	}
	if seen[t] {
		return false, nil
	}
	seen[t] = true
	p := planOf(t)
	if p.err != nil {
		return false, p.err
	}
	// All of them are looked at, since an error may be in any.
	holds := p.tagged()
	for _, f := range p.fields {
		inner, err := mayHold(t.Field(f.index).Type, seen)
		if err != nil {
			return false, err
		}
		holds = holds || inner
	}
	if holds && (writesItself(t) || writesItself(reflect.PointerTo(t))) {
		return false, errWritesItself(t)
	}
	return holds, nil
}
