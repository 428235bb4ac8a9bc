// Package importplan decides what becomes of the events of an import, a chunk at a time, and lays out those that are to be written in
// PostgreSQL's binary COPY format. It asks no database: what that holds, it is told.
//
// A chunk is filled ([Chunk.Add]), planned as often as needed ([Chunk.Begin], [Chunk.Find], [Chunk.Doubtful], [Chunk.Plan]), written
// ([Chunk.Copy]) and emptied ([Chunk.Reset]).
package importplan
