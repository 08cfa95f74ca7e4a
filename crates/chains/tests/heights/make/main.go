// Writes the databases and logs that the tests of reading a height at rest read, with the libraries that nodes use.
//
// See README.md. Called with the folder that the fixtures go to.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/autofile"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	cmtstore "github.com/cometbft/cometbft/proto/tendermint/store"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A node with one validator that makes blocks of a few transactions.
type chain struct {
	state sm.State
	last  *types.ExtendedCommit
}

func newChain() *chain {
	key := ed25519.GenPrivKeyFromSecret([]byte("fixture"))
	doc := &types.GenesisDoc{
		ChainID:       "fixture-1",
		InitialHeight: 1,
		GenesisTime:   time.Unix(1700000000, 0).UTC(),
		Validators:    []types.GenesisValidator{{PubKey: key.PubKey(), Power: 10, Address: key.PubKey().Address()}},
	}
	must(doc.ValidateAndComplete())
	state, err := sm.MakeGenesisState(doc)
	must(err)
	return &chain{state: state, last: &types.ExtendedCommit{}}
}

// Stores the next block, and carries it out unless the node dies before it can.
func (c *chain) block(blocks *store.BlockStore, states sm.Store, carryOut bool) {
	height := c.state.LastBlockHeight + 1
	txs := []types.Tx{}
	for i := 0; i < 3; i++ {
		txs = append(txs, types.Tx(fmt.Sprintf("transaction %d of block %d blockStore stateKey", i, height)))
	}
	proposer := c.state.Validators.GetProposer().Address
	block := c.state.MakeBlock(height, txs, c.last.ToCommit(), nil, proposer)
	parts, err := block.MakePartSet(types.BlockPartSizeBytes)
	must(err)
	id := types.BlockID{Hash: block.Hash(), PartSetHeader: parts.Header()}
	seen := &types.Commit{Height: height, BlockID: id, Signatures: []types.CommitSig{{
		BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: proposer,
		Timestamp: time.Unix(1700000000+height, 0).UTC(), Signature: make([]byte, 64),
	}}}
	blocks.SaveBlock(block, parts, seen)
	if !carryOut {
		return
	}
	c.last = seen.WrappedExtendedCommit()
	c.state.LastBlockHeight = height
	c.state.LastBlockID = id
	c.state.LastBlockTime = block.Time
	c.state.LastValidators = c.state.Validators.Copy()
	c.state.Version.Consensus.Block = version.BlockProtocol
	must(states.Save(c.state))
}

type node struct {
	dir     string
	backend dbm.BackendType
	chain   *chain
	blockDB dbm.DB
	stateDB dbm.DB
}

func (n *node) open() (*store.BlockStore, sm.Store) {
	n.blockDB = n.database("blockstore")
	n.stateDB = n.database("state")
	return store.NewBlockStore(n.blockDB), sm.NewStore(n.stateDB, sm.StoreOptions{})
}

func (n *node) database(name string) dbm.DB {
	if n.backend == dbm.GoLevelDBBackend {
		// Small buffers, so that a few blocks fill tables.
		db, err := dbm.NewGoLevelDBWithOpts(name, n.dir, &opt.Options{WriteBuffer: 24 << 10, CompactionTableSize: 16 << 10})
		must(err)
		return db
	}
	db, err := dbm.NewDB(name, n.backend, n.dir)
	must(err)
	return db
}

func (n *node) close() {
	must(n.blockDB.Close())
	must(n.stateDB.Close())
}

func newNode(root, name string, backend dbm.BackendType) *node {
	dir := filepath.Join(root, name)
	must(os.RemoveAll(dir))
	must(os.MkdirAll(dir, 0o755))
	return &node{dir: dir, backend: backend, chain: newChain()}
}

// run makes so many blocks; the last one is stored only if halted is true.
func (n *node) run(count int, halted bool) {
	blocks, states := n.open()
	if n.chain.state.LastBlockHeight == 0 {
		must(states.Save(n.chain.state))
	}
	for i := 0; i < count; i++ {
		n.chain.block(blocks, states, true)
	}
	if halted {
		n.chain.block(blocks, states, false)
	}
}

func compact(db dbm.DB) { must(db.Compact(nil, nil)) }

func writeLog(dir string, heights int, headLimit int64) {
	must(os.RemoveAll(dir))
	must(os.MkdirAll(dir, 0o755))
	wal, err := consensus.NewWAL(filepath.Join(dir, "wal"), autofile.GroupHeadSizeLimit(headLimit),
		autofile.GroupCheckDuration(5*time.Millisecond))
	must(err)
	wal.SetLogger(cmtlog.NewNopLogger())
	must(wal.Start())
	for height := int64(1); height <= int64(heights); height++ {
		for i := 0; i < 4; i++ {
			must(wal.Write(types.EventDataRoundState{Height: height, Round: int32(i), Step: "RoundStepPropose"}))
		}
		must(wal.WriteSync(consensus.EndHeightMessage{Height: height}))
		if headLimit < 1<<20 {
			time.Sleep(8 * time.Millisecond)
		}
	}
	must(wal.Write(types.EventDataRoundState{Height: int64(heights) + 1, Round: 0, Step: "RoundStepNewHeight"}))
	must(wal.FlushAndSync())
	must(wal.Stop())
	wal.Wait()
}

func main() {
	root := os.Args[1]
	level, pebble := dbm.GoLevelDBBackend, dbm.PebbleDBBackend

	n := newNode(root, "log-only", level)
	n.run(5, false)
	n.close()

	n = newNode(root, "halted", level)
	n.run(5, true)
	n.close()

	n = newNode(root, "tables", level)
	n.run(60, false)
	compact(n.blockDB)
	compact(n.stateDB)
	n.close()

	n = newNode(root, "reopened", level)
	for i := 0; i < 5; i++ {
		n.run(9, i == 4)
		n.close()
	}

	n = newNode(root, "killed", level)
	n.run(30, false)
	// Not closed: what a process leaves that is killed.
	copyTree(n.dir, filepath.Join(root, "killed-copy"))
	n.close()
	must(os.RemoveAll(n.dir))
	must(os.Rename(filepath.Join(root, "killed-copy"), n.dir))

	n = newNode(root, "deleted", level)
	n.run(20, false)
	compact(n.blockDB)
	must(n.blockDB.DeleteSync([]byte("blockStore")))
	n.close()

	n = newNode(root, "pebble-log", pebble)
	n.run(5, true)
	copyTree(n.dir, filepath.Join(root, "pebble-copy"))
	n.close()
	must(os.RemoveAll(n.dir))
	must(os.Rename(filepath.Join(root, "pebble-copy"), n.dir))

	n = newNode(root, "pebble-tables", pebble)
	n.run(40, false)
	compact(n.blockDB)
	compact(n.stateDB)
	n.close()

	n = newNode(root, "pebble-reopened", pebble)
	for i := 0; i < 3; i++ {
		n.run(9, i == 2)
		n.close()
	}

	// So much that the index of a table has an index itself.
	n = newNode(root, "pebble-two-levels", pebble)
	db := n.database("blockstore")
	for i := 0; i < 900; i++ {
		must(db.Set([]byte(fmt.Sprintf("block%06d", i)), make([]byte, 500)))
	}
	store.SaveBlockStoreState(&cmtstore.BlockStoreState{Base: 1, Height: 77}, db)
	for i := 0; i < 900; i++ {
		must(db.Set([]byte(fmt.Sprintf("state%06d", i)), make([]byte, 500)))
	}
	compact(db)
	must(db.Close())

	writeLog(filepath.Join(root, "consensus", "cs.wal"), 12, 10<<20)
	writeLog(filepath.Join(root, "consensus-rotated", "cs.wal"), 40, 2<<10)
	must(filepath.Walk(root, tidy))
}

// What nobody reads goes, and so does most of the zeros that Pebble lays down ahead at the end of its logs.
func tidy(path string, info os.FileInfo, err error) error {
	must(err)
	name := info.Name()
	if name == "LOCK" || isOld(path) || name == "LOG" || name == "CURRENT.bak" || strings.HasPrefix(name, "OPTIONS-") {
		return os.Remove(path)
	}
	if info.IsDir() || !strings.HasSuffix(name, ".log") {
		return nil
	}
	content, err := os.ReadFile(path)
	must(err)
	written := int64(len(bytes.TrimRight(content, "\x00")))
	if info.Size() > written+8<<10 {
		return os.Truncate(path, written+8<<10)
	}
	return nil
}

func copyTree(from, to string) {
	must(filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		must(err)
		rel, err := filepath.Rel(from, path)
		must(err)
		if info.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(path)
		must(err)
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	}))
}

// Whether this is a log that is in a table already: Pebble keeps it to use it again.
func isOld(path string) bool {
	for _, old := range []string{"pebble-tables/blockstore.db/000002", "pebble-tables/state.db/000002",
		"pebble-two-levels/blockstore.db/000002", "pebble-two-levels/blockstore.db/000004",
		"pebble-two-levels/blockstore.db/000005"} {
		if strings.HasSuffix(path, old+".log") {
			return true
		}
	}
	return false
}
