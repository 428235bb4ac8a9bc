package shred

import (
	"bytes"
	"encoding/json"
	"errors"
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
	for name, child := range t.children {
		at := pointer + "/" + pointerEscape.Replace(name)
		member, found := members[name]
		if !found {
			if err := child.allMissing(at, missing); err != nil {
				return nil, err
			}
			continue
		}
		member, err := child.replace(at, member, do, missing)
		if err != nil {
			return nil, err
		}
		if members[name] = member; member == nil {
			delete(members, name)
		}
	}
	return json.Marshal(members)
}

func (t *tree) replaceElements(pointer string, value json.RawMessage, do replacer, missing func(string, *tree) error) (json.RawMessage, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, err
	}
	for name, child := range t.children {
		at := pointer + "/" + name
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(elements) {
			if err := child.allMissing(at, missing); err != nil {
				return nil, err
			}
			continue
		}
		if elements[i], err = child.replace(at, elements[i], do, missing); err != nil {
			return nil, err
		}
		if elements[i] == nil {
			elements[i] = json.RawMessage("null")
		}
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
