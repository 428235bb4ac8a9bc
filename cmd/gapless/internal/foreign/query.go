package foreign

import (
	"fmt"
	"strings"
)

// query is the statement that reads a table, and what its rows have.
type query struct {
	text, count, leftOut string
}

// build makes the statements. Each name in them was found in the catalog, and is quoted.
func (m *Mapping) build(name string, found columns) (query, error) {
	b := builder{found: found}
	stream := b.text(m.Stream)
	version := "NULL::bigint"
	if m.Version != "" {
		version = b.column(m.Version) + "::bigint"
	}
	fields := []string{
		stream, version, b.orNull(m.Order), b.text(m.Type), b.orNull(m.ID), b.time(m.Time), b.payload(m.Payload), b.bytes(m.Payload),
		m.metadata(&b), b.orNull(m.Tenant),
	}
	order := b.order(m)
	if b.err != nil {
		return query{}, b.err
	}
	from := " FROM " + name + " AS " + alias
	q := query{count: "SELECT count(*)" + from, text: "SELECT " + strings.Join(fields, ", ") + from}
	if m.leaveOut != "" && found.has("mt_dotnet_type") {
		q.leftOut = q.count + " WHERE " + m.leaveOut
		q.text += " WHERE (" + m.leaveOut + ") IS NOT TRUE"
	}
	q.text += " ORDER BY " + order
	return q, nil
}

// alias is the table's name in the statements. An order by a bare name would be one by the text that is selected under it.
const alias = "gapless_source"

// builder makes the columns of a SELECT, and keeps the first error.
type builder struct {
	found columns
	err   error
}

func (b *builder) column(name string) string {
	quoted, err := b.found.quoted(name)
	if err != nil && b.err == nil {
		b.err = err
	}
	return alias + "." + quoted
}

func (b *builder) text(name string) string { return b.column(name) + "::text" }

func (b *builder) orNull(name string) string {
	if name == "" {
		return "NULL::text"
	}
	return b.text(name)
}

// time gives a time with its zone. One without is in UTC: message-db writes it so, and so do most.
func (b *builder) time(name string) string {
	if name == "" {
		return "NULL::timestamptz"
	}
	column := b.column(name)
	switch b.found[name] {
	case "timestamp without time zone", "date":
		return column + "::timestamp AT TIME ZONE 'UTC'"
	}
	return column + "::timestamptz"
}

func (b *builder) isBytes(name string) bool { return b.found[name] == "bytea" }

func (b *builder) payload(name string) string {
	if b.isBytes(name) {
		return "NULL::text"
	}
	return b.text(name)
}

func (b *builder) bytes(name string) string {
	if b.isBytes(name) {
		return b.column(name)
	}
	return "NULL::bytea"
}

// order is that of the log. Where ties are left, the order of the versions breaks them, so that it is the same each time.
func (b *builder) order(m *Mapping) string {
	var by []string
	for _, name := range []string{m.Order, m.Time} {
		if name != "" {
			by = append(by, b.column(name))
			if name == m.Order {
				break
			}
		}
	}
	if m.Version != "" {
		by = append(by, b.column(m.Stream), b.column(m.Version))
	}
	return strings.Join(by, ", ")
}

// metadata is the column and those that are added to it.
func (m *Mapping) metadata(b *builder) string {
	own := "NULL::text"
	if m.Metadata != "" && (len(m.extra) == 0 || b.found.has(m.Metadata)) {
		own = b.text(m.Metadata)
	}
	var pairs []string
	for _, extra := range m.extra {
		if b.found.has(extra.column) {
			pairs = append(pairs, fmt.Sprintf("'%s', %s::text", extra.field, b.column(extra.column)))
		}
	}
	if pairs == nil {
		return own
	}
	// What the store keeps in its own columns goes before a header of the same name.
	return fmt.Sprintf("(coalesce(nullif(%s, 'null'), '{}')::jsonb || jsonb_strip_nulls(jsonb_build_object(%s)))::text", own, strings.Join(pairs, ", "))
}
