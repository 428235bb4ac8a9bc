package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/reference"
)

// The reference of SQL has what the catalog of a migrated database says. After a change: make generate.
func TestReferenceSQLIsThatOfTheCatalog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	page, err := reference.SQL(b.ctx, session(t, b), readDoc(t, "docs/design.md"))
	require.NoError(t, err)
	require.Equal(t, readDoc(t, "docs/reference-sql.md"), page, "run make generate")
	require.Contains(t, page, "\n### append_batch\n")
	require.Contains(t, page, "\n### audit_log\n")
	require.NotContains(t, page, "\n### judge_loss\n", "what is for the inside alone is left out")
}

// Every SQLSTATE of ours is in the reference, with the error that Go makes of it, and none that is not raised.
func TestReferenceErrorsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	page := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^\| (ES\d{3}) \| .* \| (.*) \| .* \|$`).FindAllStringSubmatch(readDoc(t, "docs/reference-errors.md"), -1) {
		page[match[1]] = match[2]
	}
	raised, mapped := map[string]bool{}, map[string]bool{}
	collect := func(pattern, code string, into map[string]bool) {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range regexp.MustCompile(code).FindAllStringSubmatch(string(text), -1) {
				into[match[1]] = true
			}
		}
	}
	collect("../migrations/*.sql", `'(ES\d{3})'`, raised)
	collect("../eventstream/pgerror.go", `case "(ES\d{3})"`, mapped)
	collect("../eventstream/subscription/pgerror.go", `case "(ES\d{3})"`, mapped)
	collect("../eventstream/shred/postgres.go", `case "(ES\d{3})"`, mapped)
	codes := slices.Sorted(maps.Keys(page))
	require.Equal(t, slices.Sorted(maps.Keys(raised)), codes, "what migrations raise")
	require.Equal(t, slices.Sorted(maps.Keys(mapped)), codes, "what Go maps")
	require.Equal(t, codes, designCodes(t), "what the design lists")
}

// Whatever Go name the reference of errors has is an exported one of its package.
func TestReferenceErrorsNameWhatExists(t *testing.T) {
	t.Parallel()
	core, subscription := exportedOf(t, "../eventstream"), exportedOf(t, "../eventstream/subscription")
	named := 0
	for _, match := range regexp.MustCompile("`\\*?(subscription\\.)?((?:Err[A-Z]|[A-Z]\\w*Error\\b)\\w*)`").FindAllStringSubmatch(readDoc(t, "docs/reference-errors.md"), -1) {
		names := core
		if match[1] != "" {
			names = subscription
		}
		require.True(t, names[match[2]], "%s%s does not exist", match[1], match[2])
		named++
	}
	require.Greater(t, named, 30)
}

func designCodes(t *testing.T) (codes []string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`(?m)^\| (ES\d{3}) \|`).FindAllStringSubmatch(readDoc(t, "docs/design.md"), -1) {
		codes = append(codes, match[1])
	}
	slices.Sort(codes)
	return codes
}

// exportedOf gives the exported names that a package declares.
func exportedOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names[name.Name] = true
					}
				}
			}
		}
	}
	return names
}
