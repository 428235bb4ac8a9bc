// Package groupcommit lets calls of one process share statements and their commits. It knows neither events nor SQL: an item has keys,
// which say what it touches, and a function of the caller sends several items at once.
//
// A call that finds nothing in flight runs at once, by itself. Those that come meanwhile wait, and go together when it is done, or when
// they are many: nobody waits for company, and the busier the database is, the larger batches are.
//
// Items with a key in common are sent in order of arrival, and are never in flight apart: an item waits for all that came before it and
// touches what it touches. It takes all of its keys at once or none, so nobody waits for ever.
//
// What a stranger has locked is waited for apart. A batch of several items waits for a lock as long as a batch usually takes, a few times
// over (see pace); then its items go into a queue beside, where one slot finds out which keys are locked, and the few others wait for
// those (see blocked.go). So a Group never has more than InFlight+Blocked statements under way, and locks on any number of keys keep
// nobody else waiting.
package groupcommit
