package shred

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tree is the fields of a payload that are to be replaced, by the parts of their JSON pointers.
type tree struct {
	children map[string]*tree
	// subject is whose field it is, while it is encrypted.
	subject string
	// optional is a field that JSON may leave out.
	optional bool
	leaf     bool
}

func (t *tree) add(path []string, leaf tree) {
	for _, part := range path {
		if t.children == nil {
			t.children = map[string]*tree{}
		}
		next := t.children[part]
		if next == nil {
			next = &tree{}
			t.children[part] = next
		}
		t = next
	}
	leaf.children = t.children
	*t = leaf
}

var pointerEscape, pointerUnescape = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

// splitPointer takes a JSON pointer (RFC 6901) apart. That of a whole payload is none here.
func splitPointer(pointer string) ([]string, bool) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, false
	}
	parts := strings.Split(pointer[1:], "/")
	for i := range parts {
		parts[i] = pointerUnescape.Replace(parts[i])
	}
	return parts, true
}

// errNoField says that a field is not where it should be.
var errNoField = errors.New("it is not in the JSON of the value")

// replacer gives what comes in place of a field; nil removes it.
type replacer func(pointer string, field *tree, value json.RawMessage) (json.RawMessage, error)

// replace goes through the fields of a tree. missing is called for those that are not there.
func (t *tree) replace(pointer string, value json.RawMessage, do replacer, missing func(pointer string, field *tree) error) (json.RawMessage, error) {
	if t.leaf {
		return do(pointer, t, value)
	}
	switch first := bytes.TrimLeft(value, " \t\r\n"); {
	case len(first) > 0 && first[0] == '{':
		return t.replaceMembers(pointer, value, do, missing)
	case len(first) > 0 && first[0] == '[':
		return t.replaceElements(pointer, value, do, missing)
	}
	return value, t.allMissing(pointer, missing)
}

func (t *tree) replaceMembers(pointer string, value json.RawMessage, do replacer, missing func(string, *tree) error) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, err
	}
	changed := false
	for name, child := range t.children {
		at := pointer + "/" + pointerEscape.Replace(name)
		member, found := members[name]
		if !found {
			if err := child.allMissing(at, missing); err != nil {
				return nil, err
			}
			continue
		}
		replaced, err := child.replace(at, member, do, missing)
		if err != nil {
			return nil, err
		}
		changed = changed || !isSame(member, replaced)
		if members[name] = replaced; replaced == nil {
			delete(members, name)
		}
	}
	if !changed {
		return value, nil
	}
	return writeObject(members, len(value))
}

// isSame says whether a replacer gave back what it got.
func isSame(a, b json.RawMessage) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// writeObject is json.Marshal for members whose values are JSON already, without another look at each byte of them.
func writeObject(members map[string]json.RawMessage, size int) (json.RawMessage, error) {
	text := append(make([]byte, 0, size), '{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			text = append(text, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, quoted...), ':'), members[name]...)
	}
	return append(text, '}'), nil
}

func (t *tree) replaceElements(pointer string, value json.RawMessage, do replacer, missing func(string, *tree) error) (json.RawMessage, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, err
	}
	changed := false
	for name, child := range t.children {
		at := pointer + "/" + name
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(elements) {
			if err := child.allMissing(at, missing); err != nil {
				return nil, err
			}
			continue
		}
		replaced, err := child.replace(at, elements[i], do, missing)
		if err != nil {
			return nil, err
		}
		if replaced == nil {
			replaced = json.RawMessage("null")
		}
		changed = changed || !isSame(elements[i], replaced)
		elements[i] = replaced
	}
	if !changed {
		return value, nil
	}
	return json.Marshal(elements)
}

func (t *tree) allMissing(pointer string, missing func(string, *tree) error) error {
	if t.leaf {
		return missing(pointer, t)
	}
	for name, child := range t.children {
		if err := child.allMissing(pointer+"/"+pointerEscape.Replace(name), missing); err != nil {
			return err
		}
	}
	return nil
}
