package eventstream

// String returns the start as the database is told of it: {"from":"latest"}, {"position":7}.
func (s startWord) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"position":7}.
func (s startNumber) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"time":"2026-01-01T00:00:00Z"}.
func (s startTime) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"after":{"event_id":"...","position":7}}.
func (s startAfter) String() string { return string(startJSON(s)) }

// String returns the start as the database is told of it: {"partition_sequences":{"3":7}}.
func (s startPartitions) String() string { return string(startJSON(s)) }
