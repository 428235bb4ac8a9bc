package shred

import (
	"encoding"
	"maps"
	"reflect"
	"strconv"

	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/unset"
)

// fieldsOf finds the personal fields of a value, with the subject of each; nil if there are none.
func fieldsOf(value any) (*tree, error) {
	v := reflect.ValueOf(value)
	if unset.IsNil(value) {
		return nil, nil
	}
	w := walk{found: &tree{}}
	if err := w.value(v, nil, nil); err != nil {
		return nil, err
	}
	if w.found.children == nil {
		return nil, nil
	}
	return w.found, nil
}

// walk goes through a value as encoding/json does.
type walk struct {
	found *tree
}

func (w *walk) value(v reflect.Value, path []string, subjects map[string]string) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return w.value(v.Elem(), path, subjects)
	case reflect.Struct:
		return w.structure(v, path, subjects)
	case reflect.Slice, reflect.Array:
		if !worthIt(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := w.value(v.Index(i), append(path, strconv.Itoa(i)), subjects); err != nil {
				return err
			}
		}
	case reflect.Map:
		if !worthIt(v.Type().Elem()) {
			return nil
		}
		for entries := v.MapRange(); entries.Next(); {
			key, ok := textOf(entries.Key())
			if !ok {
				continue
			}
			if err := w.value(entries.Value(), append(path, key), subjects); err != nil {
				return err
			}
		}
	default: // nothing in it
	}
	return nil
}

// worthIt spares walking the bytes of a slice.
func worthIt(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Array, reflect.Map:
		return true
	default:
		return false
	}
}

// structure looks at a struct: the subjects that it names hold for all that is in it.
func (w *walk) structure(v reflect.Value, path []string, around map[string]string) error {
	p := planOf(v.Type())
	if p.err != nil {
		return p.err
	}
	named, err := subjectsIn(v, p)
	if err != nil {
		return err
	}
	subjects := around
	if len(named) > 0 {
		subjects = maps.Clone(around)
		if subjects == nil {
			subjects = map[string]string{}
		}
		maps.Copy(subjects, named)
	}
	for _, f := range p.fields {
		at := path
		if f.name != "" {
			at = append(path[:len(path):len(path)], f.name)
		}
		if f.role == personal {
			if subjects[f.subject] == "" {
				return invalid.Value("subject of "+v.Type().String()+"."+v.Type().Field(f.index).Name, "empty",
					`given: a field with the tag shred:"subject" in the same struct, or in one around it`)
			}
			w.found.add(at, tree{leaf: true, subject: subjects[f.subject], optional: f.optional})
			continue
		}
		if worthIt(v.Field(f.index).Type()) {
			if err := w.value(v.Field(f.index), at, subjects); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectsIn are the subjects that a struct names, those of embedded ones included.
func subjectsIn(v reflect.Value, p *plan) (map[string]string, error) {
	named := map[string]string{}
	for _, f := range p.fields {
		in := v.Field(f.index)
		switch {
		case f.role == subject:
			text, ok := textOf(in)
			if !ok {
				return nil, invalid.Value("subject of "+v.Type().String(), in.String(), "a text")
			}
			named[f.subject] = text
		case f.name == "": // embedded
			for in.Kind() == reflect.Pointer && !in.IsNil() {
				in = in.Elem()
			}
			if in.Kind() != reflect.Struct {
				continue
			}
			inner, err := subjectsIn(in, planOf(in.Type()))
			if err != nil {
				return nil, err
			}
			maps.Copy(named, inner)
		}
	}
	return named, nil
}

// textOf is how encoding/json writes the key of a map, and the name of a subject.
func textOf(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.String {
		return v.String(), true
	}
	if texter, ok := v.Interface().(encoding.TextMarshaler); ok && !unset.IsNil(texter) {
		text, err := texter.MarshalText()
		return string(text), err == nil
	}
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true
	}
	return "", false
}
