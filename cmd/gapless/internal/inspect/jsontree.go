package inspect

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

const (
	// maxNodes bounds how many values of a JSON text a page shows, maxDepth how deep it goes, and maxString how many characters of one text.
	maxNodes  = 1500
	maxDepth  = 40
	maxString = 2000
	// openDepth is how deep values are unfolded at first.
	openDepth = 2
)

// node is a value of a JSON text, which the page can fold.
type node struct {
	Key      string
	HasKey   bool
	Kind     string
	Text     string
	Children []*node
	Open     bool
}

// tree is a JSON text, or as much of it as a page shows.
type tree struct {
	Root *node
	Cut  bool
}

// newTree reads a JSON text, which may be the beginning of a longer one.
func newTree(text string) tree {
	b := treeBuilder{dec: json.NewDecoder(strings.NewReader(text))}
	b.dec.UseNumber()
	root := b.value(0)
	return tree{Root: root, Cut: b.cut}
}

type treeBuilder struct {
	dec   *json.Decoder
	nodes int
	cut   bool
}

// value reads the next value; nil where the text ends, or enough was read.
func (b *treeBuilder) value(depth int) *node {
	if b.nodes++; b.nodes > maxNodes {
		b.cut = true
		return nil
	}
	if depth >= maxDepth {
		var rest json.RawMessage
		if b.dec.Decode(&rest) != nil {
			b.cut = true
			return nil
		}
		return &node{Kind: "deep", Text: clip(string(rest))}
	}
	token, err := b.dec.Token()
	if err != nil {
		b.cut = true
		return nil
	}
	if delim, ok := token.(json.Delim); ok {
		return b.inside(delim, depth)
	}
	return leaf(token)
}

func (b *treeBuilder) inside(delim json.Delim, depth int) *node {
	n := &node{Kind: "array", Open: depth < openDepth}
	if delim == '{' {
		n.Kind = "object"
	}
	for b.dec.More() && !b.cut {
		key := ""
		if n.Kind == "object" {
			token, err := b.dec.Token()
			if err != nil {
				b.cut = true
				break
			}
			key, _ = token.(string)
		}
		if child := b.value(depth + 1); child != nil {
			child.Key, child.HasKey = clip(key), n.Kind == "object"
			n.Children = append(n.Children, child)
		}
	}
	if _, err := b.dec.Token(); err != nil {
		b.cut = true
	}
	n.Text = strconv.Itoa(len(n.Children))
	return n
}

func leaf(token json.Token) *node {
	switch v := token.(type) {
	case string:
		return &node{Kind: "string", Text: clip(v)}
	case json.Number:
		return &node{Kind: "number", Text: clip(v.String())}
	case bool:
		return &node{Kind: "bool", Text: strconv.FormatBool(v)}
	}
	return &node{Kind: "null", Text: "null"}
}

// clip makes text of a value fit to be shown.
func clip(text string) string { return output.Clean(brief(text, maxString)) }
