package eventstream

// collect reads the rows, which have the columns of eventstream.events in their order, into a buffer if its capacity will do.
func (r *rowsOf) collect(buffer []LogEvent, room int) ([]LogEvent, error) {
	defer r.rows.Close()
	events := buffer[:0]
	if cap(events) < room {
		events = make([]LogEvent, 0, room)
	}
	scanner := eventScanner{rows: r.rows}
	for r.rows.Next() {
		events = append(events, LogEvent{})
		if err := scanner.scan(&events[len(events)-1].Event); err != nil {
			return nil, err
		}
	}
	return events, r.rows.Err()
}
