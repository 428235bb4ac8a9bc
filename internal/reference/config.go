package reference

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

const configHead = `# Reference: configuration

<!-- Written by "make generate" from the comments of the structs; not edited by hand. -->

Every field that adjusts something, by package. Where no field is required, nil and the zero value mean the defaults; a value out of bounds is an
error that names the field and its bounds. Nothing is read from environment variables or files: that is the program's business.
The command has flags instead: [command.md](command.md).
`

// configured are the packages whose configuration is on the page, by their directories.
var configured = []string{"eventstream", "migrations"}

// Config gives docs/reference-config.md: the exported structs that are named Config or Options, or end so, of the packages below root.
func Config(root string) (string, error) {
	var page strings.Builder
	page.WriteString(configHead)
	for _, top := range configured {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() != "testdata" {
				dirs = append(dirs, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
		for _, dir := range dirs {
			if err := writePackage(&page, root, dir); err != nil {
				return "", err
			}
		}
	}
	return page.String(), nil
}

func writePackage(page *strings.Builder, root, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	slices.Sort(files)
	fset, titled := token.NewFileSet(), false
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, decl := range parsed.Decls {
			for _, found := range configs(decl) {
				if !titled {
					fmt.Fprintf(page, "\n## %s\n", filepath.ToSlash(rel))
					titled = true
				}
				if err := writeConfig(page, fset, parsed.Name.Name, found); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// config is a struct with its documentation.
type config struct {
	name, doc string
	fields    *ast.FieldList
}

func configs(decl ast.Decl) (found []config) {
	general, ok := decl.(*ast.GenDecl)
	if !ok || general.Tok != token.TYPE {
		return nil
	}
	for _, spec := range general.Specs {
		named := spec.(*ast.TypeSpec)
		structure, ok := named.Type.(*ast.StructType)
		if !ok || !named.Name.IsExported() || !strings.HasSuffix(named.Name.Name, "Config") && !strings.HasSuffix(named.Name.Name, "Options") {
			continue
		}
		doc := named.Doc
		if doc == nil {
			doc = general.Doc
		}
		found = append(found, config{name: named.Name.Name, doc: doc.Text(), fields: structure.Fields})
	}
	return found
}

func writeConfig(page *strings.Builder, fset *token.FileSet, pkg string, c config) error {
	fmt.Fprintf(page, "\n### %s.%s\n\n%s\n\n| Field | Type | Effect |\n|---|---|---|\n", pkg, c.name, wrap(c.doc))
	for _, field := range c.fields.List {
		var names []string
		for _, name := range field.Names {
			if name.IsExported() {
				names = append(names, "`"+name.Name+"`")
			}
		}
		if len(names) == 0 {
			continue
		}
		var kind bytes.Buffer
		if err := printer.Fprint(&kind, fset, field.Type); err != nil {
			return err
		}
		if field.Doc.Text() == "" {
			return fmt.Errorf("field %s of %s.%s has no comment", names[0], pkg, c.name)
		}
		fmt.Fprintf(page, "| %s | `%s` | %s |\n", strings.Join(names, ", "), cell(kind.String()), cell(field.Doc.Text()))
	}
	return nil
}
