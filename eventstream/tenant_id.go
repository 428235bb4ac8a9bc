package eventstream

const (
	maxTenantIDBytes = 64
	tenantIDRule     = "1 to 64 of the characters A-Z a-z 0-9 _ -"
)

// DefaultTenant owns the streams whose first event names no tenant.
const DefaultTenant TenantID = "default"

// TenantID names the owner of a stream and of every event in it: 1 to 64 of the characters A-Z a-z 0-9 _ -, so that it can
// stand in a URL, a file name and a role name as it is.
//
// The database holds the same rule (eventstream.is_tenant_id). The empty TenantID is not valid; where a field
// allows it, it means "that of the stream".
type TenantID string

// NewTenantID returns s as a TenantID, or an *InvalidValueError that names the rule it breaks.
func NewTenantID(s string) (TenantID, error) {
	id := TenantID(s)
	if err := id.Validate(); err != nil {
		return "", err
	}
	return id, nil
}

// Validate returns an *InvalidValueError if the id breaks the rule of TenantID, else nil.
func (id TenantID) Validate() error {
	if id == "" || len(id) > maxTenantIDBytes {
		return invalidValue("tenant_id", string(id), tenantIDRule)
	}
	for i := range len(id) {
		if c := id[i]; !isASCIILetterOrDigit(c) && c != '_' && c != '-' {
			return invalidValue("tenant_id", string(id), tenantIDRule)
		}
	}
	return nil
}

// String returns the id as it is.
func (id TenantID) String() string { return string(id) }

// UnmarshalText takes text as the id after the checks of NewTenantID. On error the id keeps its value.
func (id *TenantID) UnmarshalText(text []byte) error {
	parsed, err := NewTenantID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func isASCIILetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isASCIILetterOrDigit(c byte) bool {
	return isASCIILetter(c) || '0' <= c && c <= '9'
}
