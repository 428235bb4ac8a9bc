package eventstream

import "strconv"

const (
	defaultPageSize = 500
	maxPageSize     = 100_000
)

// Config adjusts a Repository. Nil and the zero value mean the defaults.
type Config struct {
	// PageSize is how many rows a read fetches in one round trip, from 1 to 100,000: more costs memory, fewer cost time.
	// Default: 500.
	PageSize int
}

// withDefaults returns a complete copy, or an *InvalidValueError that names the field and its bounds.
func (c *Config) withDefaults() (Config, error) {
	out := Config{}
	if c != nil {
		out = *c
	}
	if out.PageSize == 0 {
		out.PageSize = defaultPageSize
	}
	if out.PageSize < 1 || out.PageSize > maxPageSize {
		return Config{}, invalidValue("Config.PageSize", strconv.Itoa(out.PageSize), "from 1 to 100000, or 0 for 500")
	}
	return out, nil
}
