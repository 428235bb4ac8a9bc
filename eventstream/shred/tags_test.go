package shred

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

type writesOwn struct {
	Who  string `json:"who" shred:"subject"`
	Name string `json:"name" shred:"personal"`
}

func (writesOwn) MarshalJSON() ([]byte, error) { return []byte(`{"other": "Ada"}`), nil }

type notWritten struct {
	Who  string `json:"who" shred:"subject"`
	Name string `json:"-" shred:"personal"`
}

type misspelt struct {
	Who  string `json:"who" shred:"subject"`
	Name string `json:"name" shred:"persnal"`
}

type numbered struct {
	Who  float64 `json:"who" shred:"subject"`
	Name string  `json:"name" shred:"personal"`
}

type toldInJSON struct {
	Told Forgotten `json:"told"`
}

type around struct{ Inner []map[string]*misspelt }

type wholeEmbedded struct {
	Who      string `json:"who" shred:"subject"`
	embedded `shred:"personal"`
}

type recursive struct {
	passenger
	Next *recursive `json:"next,omitempty"`
}

type nobody struct {
	Name string `json:"name" shred:"personal"`
}

type oddName struct {
	Who  string `json:"who" shred:"subject"`
	Name string `json:"na\"me" shred:"personal"` //nolint:staticcheck // a name that encoding/json does not take
}

// oddFormat writes JSON in which fields have other names.
type oddFormat struct{ binary bool }

func (f oddFormat) Binary() bool { return f.binary }
func (oddFormat) Marshal(any) ([]byte, error) {
	return []byte(`{"Customer": "customer-7", "Name": "Ada"}`), nil
}
func (oddFormat) Unmarshal([]byte, any) error { return nil }

func tagsOf[T any](t *testing.T, options ...codec.TypeOption) (*Codec, error) {
	t.Helper()
	registry, err := codec.New(codec.Event[T]("a.b", options...))
	require.NoError(t, err)
	vault, err := NewVault(MemoryKeys(), testMaster(t, 'm'), nil)
	require.NoError(t, err)
	return NewCodec(vault, registry)
}

// Tags that would leave something in the clear are refused when the codec is made.
func TestTagsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"writesOwn": second(tagsOf[writesOwn](t)), "notWritten": second(tagsOf[notWritten](t)), "misspelt": second(tagsOf[misspelt](t)),
		"numbered": second(tagsOf[numbered](t)), "toldInJSON": second(tagsOf[toldInJSON](t)), "around": second(tagsOf[around](t)),
		"wholeEmbedded": second(tagsOf[wholeEmbedded](t)), "pointer": second(tagsOf[*misspelt](t)),
	} {
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
	}
	require.NoError(t, second(tagsOf[recursive](t)))
	_, err := NewCodec(nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = NewVault(nil, nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = NewVault(MemoryKeys(), nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = NewVault(MemoryKeys(), testMaster(t, 'm'), &Config{MaxKeys: -1})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = MasterKeys([]byte("short"))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

func second(_ *Codec, err error) error { return err }

// What cannot be encrypted where it stands is not written.
func TestNothingPersonalIsWrittenInTheClear(t *testing.T) {
	t.Parallel()
	refused := func(c *Codec, err error, value any) error {
		require.NoError(t, err)
		_, err = c.Encode(t.Context(), "a", value)
		require.Error(t, err)
		return err
	}
	c, err := tagsOf[nobody](t)
	require.ErrorIs(t, refused(c, err, nobody{Name: "Ada"}), eventstream.ErrInvalidValue, "no subject")
	c, err = tagsOf[registered](t)
	require.ErrorIs(t, refused(c, err, registered{Name: "Ada"}), eventstream.ErrInvalidValue, "an empty subject")
	require.ErrorIs(t, refused(c, err, registered{Customer: " x", Name: "Ada"}), eventstream.ErrInvalidValue, "a subject that cannot be")
	c, err = tagsOf[registered](t, codec.In(oddFormat{}))
	require.ErrorIs(t, refused(c, err, ada), errNoField, "a format with other names")
	c, err = tagsOf[registered](t, codec.In(oddFormat{binary: true}))
	require.ErrorIs(t, refused(c, err, ada), eventstream.ErrInvalidValue, "a binary format")
	c, err = tagsOf[booked](t)
	require.ErrorIs(t, refused(c, err, booked{
		Payer: "p", embedded: embedded{Agent: "a"}, Notes: map[string]any{"x": writesOwn{Who: "w", Name: "Ada"}},
	}), eventstream.ErrInvalidValue, "behind an interface")

	c, err = tagsOf[oddName](t)
	require.NoError(t, err)
	event, err := c.Encode(t.Context(), "a", oddName{Who: "w", Name: "Ada"})
	require.NoError(t, err)
	require.NotContains(t, string(event.Payload), "Ada", "encoding/json takes the name of the field")
	_, err = c.Encode(t.Context(), "a", oddName{Who: "w"}, eventstream.WithMetadata(map[string]any{MetadataKey: []string{"/Name"}}))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = c.Encode(t.Context(), "", oddName{Who: "w"})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)

	c, err = tagsOf[recursive](t)
	require.NoError(t, err)
	event, err = c.Encode(t.Context(), "a", recursive{
		passenger: passenger{ID: "1", Name: "Ada"}, Next: &recursive{passenger: passenger{ID: "2", Name: "Ada"}},
	})
	require.NoError(t, err)
	require.NotContains(t, string(event.Payload), "Ada")
}
