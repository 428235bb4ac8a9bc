package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// category is what the ids of all our streams start with, up to the dash.
	category = "file"
	// hashed marks the stream of a path that cannot be part of a stream id.
	hashed = "sha256:"
	// maxSubject bounds the subject in runes: each event of the commit carries it.
	maxSubject = 500
)

// namespace makes event ids of ours differ from all others that are made from names. It must never change.
var namespace = uuid.MustParse("5b0c7a0e-7f43-5d35-9c0b-6d1f3f0c2a11")

var eventTypes = map[change]string{added: "file.added", changed: "file.changed", deleted: "file.deleted"}

// filePayload says what a commit did to a file. It holds nothing about who did it.
type filePayload struct {
	Commit string `json:"commit"`
	Path   string `json:"path"`
	// PathBytes is the path in base64 where it is not UTF-8, and Path has U+FFFD in place of what is not.
	PathBytes string `json:"path_base64,omitzero"`
	// LinesAdded and LinesRemoved are null for a binary file.
	LinesAdded   *int64    `json:"lines_added"`
	LinesRemoved *int64    `json:"lines_removed"`
	Subject      string    `json:"subject"`
	Time         time.Time `json:"time"`
}

// appendRequests makes the appends of a commit: one event for each file, in the stream of the file. What the streams are expected
// to be at is for the importer to say.
func appendRequests(c commit) ([]eventstream.AppendRequest, error) {
	requests := make([]eventstream.AppendRequest, 0, len(c.files))
	subject := cleanSubject(c.subject)
	for i := range c.files {
		event, err := fileEvent(&c, &c.files[i], subject)
		if err != nil {
			return nil, fmt.Errorf("commit %s, path %q: %w", c.hash, c.files[i].path, err)
		}
		requests = append(requests, eventstream.AppendRequest{
			StreamID: streamID(c.files[i].path),
			Events:   []eventstream.Event{event},
		})
	}
	return requests, nil
}

func fileEvent(c *commit, f *fileChange, subject string) (eventstream.Event, error) {
	payload := filePayload{Commit: c.hash, Path: f.path, Subject: subject, Time: c.time}
	if !utf8.ValidString(f.path) {
		payload.Path = strings.ToValidUTF8(f.path, "\uFFFD")
		payload.PathBytes = base64.StdEncoding.EncodeToString([]byte(f.path))
	}
	if f.added != binary && f.removed != binary {
		payload.LinesAdded, payload.LinesRemoved = &f.added, &f.removed
	}
	return eventstream.NewEvent(eventTypes[f.change], payload,
		eventstream.WithEventID(eventID(c.hash, f.path)), eventstream.WithOccurredAt(c.time))
}

// eventID is the same for the same commit and path wherever and whenever it is made. A hash has no NUL, nor has a path.
func eventID(hash, path string) uuid.UUID {
	return uuid.NewSHA1(namespace, []byte(hash+"\x00"+path))
}

// streamID gives different paths different ids. A path that looks like the short form is given in the short form, so that no
// file can be named into the stream of another.
func streamID(path string) eventstream.StreamID {
	id := eventstream.StreamID(category + "-" + path)
	if !strings.HasPrefix(path, hashed) && id.Validate() == nil {
		return id
	}
	sum := sha256.Sum256([]byte(path))
	return eventstream.StreamID(category + "-" + hashed + hex.EncodeToString(sum[:]))
}

// cleanSubject makes a subject fit for JSON: commits may claim an encoding that is not theirs.
func cleanSubject(subject string) string {
	subject = strings.ToValidUTF8(subject, "\uFFFD")
	if utf8.RuneCountInString(subject) > maxSubject {
		return string([]rune(subject)[:maxSubject]) + "…"
	}
	return subject
}
