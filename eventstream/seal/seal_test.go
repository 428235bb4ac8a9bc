package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func leavesOf(n int) []Digest {
	leaves := make([]Digest, n)
	for i := range leaves {
		leaves[i] = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
	}
	return leaves
}

// recursive is RFC 6962, section 2.1, as it is written there: split at the largest power of two below the count.
func recursive(leaves []Digest) Digest {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return node(recursive(leaves[:k]), recursive(leaves[k:]))
}

func TestRootIsThatOfRFC6962(t *testing.T) {
	t.Parallel()
	for n := 1; n < 140; n++ {
		require.Equal(t, recursive(leavesOf(n)), root(leavesOf(n)), n)
	}
	// The tree of the RFC's well-known test vectors (Certificate Transparency), over the leaves "" and 00.
	leaf := func(data ...byte) Digest { return sha256.Sum256(append([]byte{leafByte}, data...)) }
	require.Equal(t, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125", root([]Digest{leaf(), leaf(0)}).String())
	require.Equal(t, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", root([]Digest{leaf(), leaf(0), leaf(0x10)}).String())
}

func TestPathsLeadToTheRoot(t *testing.T) {
	t.Parallel()
	for n := 1; n < 70; n++ {
		top := root(leavesOf(n))
		for i := range n {
			siblings := path(leavesOf(n), int64(i))
			got, fits := rootBy(leavesOf(n)[i], int64(i), int64(n), siblings)
			require.True(t, fits)
			require.Equal(t, top, got)
			got, fits = rootBy(leavesOf(n)[i], int64(i), int64(n), append(slices.Clone(siblings), Digest{}))
			require.False(t, fits && got == top, "one too many")
			if len(siblings) > 0 {
				_, fits = rootBy(leavesOf(n)[i], int64(i), int64(n), siblings[1:])
				require.False(t, fits, "one too few")
				got, _ = rootBy(leavesOf(n)[i], int64(i^1), int64(n), siblings)
				require.NotEqual(t, top, got, "another place")
			}
		}
	}
	_, fits := rootBy(Digest{}, 3, 3, nil)
	require.False(t, fits)
}

func testBlock(number int64) Block {
	b := Block{StoreID: uuid.UUID{1}, Number: number, From: 1, To: 2, LastSequence: 2, SealedAt: 7, Count: 2, Root: Digest{9}}
	b.Seal = b.Digest()
	return b
}

func TestKeptSealAsText(t *testing.T) {
	t.Parallel()
	block := testBlock(1)
	kept := block.Kept()
	require.Equal(t, "gapless-seal:1:01000000-0000-0000-0000-000000000000:1:2:2:"+block.Seal.String(), kept.String())
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signed := kept.Sign(private)
	for _, k := range []Kept{kept, signed} {
		again, err := ParseKept(k.String())
		require.NoError(t, err)
		require.Equal(t, k, again)
	}
	require.NoError(t, signed.VerifySignature(public))
	require.ErrorIs(t, kept.VerifySignature(public), ErrSignature)
	require.ErrorIs(t, signed.VerifySignature(nil), ErrSignature)
	signed.To++
	require.ErrorIs(t, signed.VerifySignature(public), ErrSignature)
	for _, text := range []string{"", "gapless-seal:2" + kept.String()[14:], kept.String() + "0", kept.String() + ":ed25519:", kept.String() + "\n"} {
		_, err := ParseKept(text)
		require.ErrorIs(t, err, ErrInvalidKept, text)
	}
}

// A seal covers each of its fields.
func TestSealCoversEveryField(t *testing.T) {
	t.Parallel()
	seen := map[Digest]bool{}
	for _, change := range []func(*Block){
		func(*Block) {},
		func(b *Block) { b.StoreID[15]++ }, func(b *Block) { b.Number++ }, func(b *Block) { b.From++ }, func(b *Block) { b.To++ },
		func(b *Block) { b.LastSequence++ }, func(b *Block) { b.SealedAt++ }, func(b *Block) { b.Count++ },
		func(b *Block) { b.Previous[31]++ }, func(b *Block) { b.Skipped[31]++ }, func(b *Block) { b.Root[31]++ },
	} {
		b := testBlock(1)
		change(&b)
		require.False(t, seen[b.Digest()])
		seen[b.Digest()] = true
	}
}

// The vectors of docs/seals.md: they may never change.
func TestDigestsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	r := vector()
	d, bytes := r.digest(nil)
	require.Equal(t, vectorBytes, hex.EncodeToString(bytes))
	require.Equal(t, d, Digest(sha256.Sum256(bytes)))
	require.True(t, r.Holds([]byte("{}"), nil, []byte("{}")))
	require.False(t, r.Holds([]byte("{}"), []byte{}, []byte("{}")))
}

func vector() Record {
	return Record{
		Position: 1, Version: 2, EventID: uuid.UUID{0: 0xaa, 15: 0xbb}, OccurredAt: 3, RecordedAt: -4, PartitionID: 5, StreamID: "s",
		TenantID: "default", Type: "é", Payload: ContentDigest([]byte("{}")), Metadata: ContentDigest([]byte("{}")),
	}
}

const vectorBytes = "00" +
	"00000008" + "0000000000000001" +
	"00000008" + "0000000000000002" +
	"00000010" + "aa0000000000000000000000000000bb" +
	"00000008" + "0000000000000003" +
	"00000008" + "fffffffffffffffc" +
	"00000004" + "00000005" +
	"00000001" + "73" +
	"00000007" + "64656661756c74" +
	"00000002" + "c3a9" +
	"00000020" + "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" +
	"ffffffff" +
	"00000020" + "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// Nothing in a proof can be another thing: each digit of its JSON counts.
func TestProofsThatWereChangedProveNothing(t *testing.T) {
	t.Parallel()
	record := vector()
	leaves := leavesOf(5)
	leaves[3] = record.Digest()
	first := testBlock(3)
	first.Count, first.Root = 5, root(slices.Clone(leaves))
	first.Seal = first.Digest()
	second := testBlock(4)
	second.Previous = first.Seal
	second.Seal = second.Digest()
	proof := Proof{Event: record, Index: 3, Path: path(slices.Clone(leaves), 3), Blocks: []Block{first, second}}
	require.NoError(t, proof.Verify(second.Kept()))
	require.ErrorIs(t, proof.Verify(first.Kept()), ErrNotProven)
	require.ErrorIs(t, (&Proof{}).Verify(second.Kept()), ErrNotProven)
	// Another block that is sound in itself, but that the kept seal does not refer to; and another event in the place of this one.
	forged := first
	forged.SealedAt++
	forged.Seal = forged.Digest()
	other := Proof{Event: record, Index: 3, Path: proof.Path, Blocks: []Block{forged, second}}
	require.ErrorIs(t, other.Verify(second.Kept()), ErrNotProven)
	other = proof
	other.Event.Version++
	require.ErrorIs(t, other.Verify(second.Kept()), ErrNotProven)
	text, err := json.Marshal(proof)
	require.NoError(t, err)
	tried := 0
	for i, c := range text {
		if c < '0' || c > '9' {
			continue
		}
		changed := slices.Clone(text)
		changed[i] = '0' + (c-'0'+1)%10
		var p Proof
		if json.Unmarshal(changed, &p) != nil {
			continue
		}
		require.ErrorIs(t, p.Verify(second.Kept()), ErrNotProven, string(changed[max(0, i-30):i+1]))
		tried++
	}
	require.Greater(t, tried, 200)
}
