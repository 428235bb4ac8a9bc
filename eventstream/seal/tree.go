package seal

import (
	"crypto/sha256"
	"math/bits"
)

// node joins two subtrees of a Merkle tree.
func node(left, right Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodeByte
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// root is that of the Merkle tree of RFC 6962, section 2.1: pairs are joined level by level, and the last of an odd number goes up as it is.
// It uses up its argument.
func root(nodes []Digest) Digest {
	if len(nodes) == 0 {
		return Digest{}
	}
	for len(nodes) > 1 {
		nodes = nextLevel(nodes)
	}
	return nodes[0]
}

func nextLevel(nodes []Digest) []Digest {
	for i := range len(nodes) / 2 {
		nodes[i] = node(nodes[2*i], nodes[2*i+1])
	}
	if len(nodes)%2 == 1 {
		nodes[len(nodes)/2] = nodes[len(nodes)-1]
	}
	return nodes[:(len(nodes)+1)/2]
}

// path holds what leaf index must be joined with on its way to the root, from below. It uses up its first argument.
func path(nodes []Digest, index int64) []Digest {
	var siblings []Digest
	for len(nodes) > 1 {
		if sibling := index ^ 1; sibling < int64(len(nodes)) {
			siblings = append(siblings, nodes[sibling])
		}
		nodes, index = nextLevel(nodes), index/2
	}
	return siblings
}

// rootBy follows a path from a leaf to the root of a tree of count leaves. It reports false for a path that is too short or too long.
func rootBy(leaf Digest, index, count int64, siblings []Digest) (Digest, bool) {
	if index < 0 || index >= count || len(siblings) > bits.Len64(uint64(count)) {
		return Digest{}, false
	}
	for ; count > 1; index, count = index/2, (count+1)/2 {
		if index^1 >= count {
			continue
		}
		if len(siblings) == 0 {
			return Digest{}, false
		}
		if index%2 == 0 {
			leaf = node(leaf, siblings[0])
		} else {
			leaf = node(siblings[0], leaf)
		}
		siblings = siblings[1:]
	}
	return leaf, len(siblings) == 0
}
