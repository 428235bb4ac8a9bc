package eventstream

import (
	"encoding/json"
	"slices"
	"strconv"
)

// LogFilter selects events of the log. The zero value selects all; what is given must all be met.
type LogFilter struct {
	// Partitions selects events of these partitions. Default: nil, which is all.
	Partitions []int `json:"partitions,omitempty"`
	// Category selects events of streams of a category, as StreamID.Category has it: "order" for "order-1", and for "order". Default: "",
	// which is all.
	Category string `json:"category,omitempty"`
	// Types selects events of these types. Default: nil, which is all.
	Types []EventType `json:"types,omitempty"`
	// Tenant selects events of one tenant. Default: "", which is all.
	Tenant TenantID `json:"tenant,omitempty"`
}

func (f LogFilter) isZero() bool { return len(f.Partitions) == 0 && f.dense() }

// dense says whether all events of a partition are selected, if any is.
func (f LogFilter) dense() bool { return f.Category == "" && len(f.Types) == 0 && f.Tenant == "" }

// validate returns the filter in normal form: lists sorted, without duplicates.
func (f LogFilter) validate(partitions int) (LogFilter, error) {
	f.Partitions, f.Types = slices.Clone(f.Partitions), slices.Clone(f.Types)
	slices.Sort(f.Partitions)
	slices.Sort(f.Types)
	f.Partitions, f.Types = slices.Compact(f.Partitions), slices.Compact(f.Types)
	for _, p := range f.Partitions {
		if p < 0 || p >= partitions {
			return f, invalidValue("LogFilter.Partitions", strconv.Itoa(p), "from 0 to "+strconv.Itoa(partitions-1))
		}
	}
	for _, t := range f.Types {
		if err := t.Validate(); err != nil {
			return f, err
		}
	}
	if err := validateCategory("LogFilter.Category", f.Category); err != nil {
		return f, err
	}
	if f.Tenant != "" {
		return f, f.Tenant.Validate()
	}
	return f, nil
}

// json is the filter as eventstream.subscriptions keeps it.
func (f LogFilter) json() []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // of numbers and text
	}
	return text
}
