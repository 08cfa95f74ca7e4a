//! What lies behind the checksums, with no regard to how it came there.

use proptest::prelude::*;

use super::*;

fn written(batch: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut newest = Newest::default();
    batch::look(batch, key, &mut newest)?;
    Ok(newest.value)
}

/// One writing: its kind, the key, and the value if the kind has one.
type Entry<'a> = (u8, &'a [u8], Option<&'a [u8]>);

fn batch(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = vec![7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8] = u8::try_from(entries.len()).unwrap();
    for (kind, key, value) in entries {
        bytes.push(*kind);
        for text in [Some(*key), *value].into_iter().flatten() {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text);
        }
    }
    bytes
}

#[test]
fn the_last_writing_in_a_batch_counts_be_it_a_removal() {
    let set = |value: &'static [u8]| (1_u8, &b"k"[..], Some(value));
    assert_eq!(written(&batch(&[set(b"1"), set(b"2")]), b"k").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(written(&batch(&[set(b"1"), (0, b"k", None)]), b"k").unwrap(), None);
    assert_eq!(written(&batch(&[(0, b"k", None), set(b"3")]), b"k").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(written(&batch(&[set(b"1"), (3, b"a remark", None)]), b"k").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(written(&batch(&[set(b"1")]), b"other").unwrap(), None);
    assert!(matches!(written(&batch(&[(15, b"a", Some(b"z"))]), b"k"), Err(Unreadable::Unknown(_))));
    let whole = batch(&[set(b"1"), set(b"22")]);
    assert!(matches!(written(&whole[..whole.len() - 1], b"k"), Err(Unreadable::Damaged(_))));
}

#[test]
fn an_older_writing_never_takes_the_place_of_a_newer_one() {
    let mut newest = Newest::default();
    for (sequence, value) in [(5, Some(&b"a"[..])), (9, None), (7, Some(b"b"))] {
        newest.offer(sequence, value);
    }
    assert_eq!((newest.sequence, newest.value), (Some(9), None));
}

#[test]
fn a_manifest_remembers_the_tables_that_may_hold_the_key() {
    let edit = |tag: u8, level: u8, number: u8, smallest: &[u8], largest: &[u8]| {
        let mut bytes = vec![tag, level, number];
        if tag == 7 {
            bytes.push(0);
            for key in [smallest, largest] {
                bytes.push(u8::try_from(key.len() + 8).unwrap());
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(&[0; 8]);
            }
        }
        bytes
    };
    let mut manifest = Manifest::default();
    let mut tables = |bytes: &[u8]| {
        manifest.apply(bytes, b"m")?;
        Ok::<Vec<u64>, Unreadable>(manifest.tables.keys().copied().collect())
    };
    assert_eq!(tables(&edit(7, 0, 3, b"a", b"z")).unwrap(), [3]);
    assert_eq!(tables(&edit(7, 0, 4, b"n", b"z")).unwrap(), [3]);
    assert_eq!(tables(&edit(7, 0, 5, b"m", b"m")).unwrap(), [3, 5]);
    // Moved to another level: gone from one and new in the other, in one change, whatever stands first.
    assert_eq!(tables(&[edit(7, 1, 3, b"a", b"z"), edit(6, 0, 3, b"", b"")].concat()).unwrap(), [3, 5]);
    assert_eq!(tables(&edit(6, 1, 3, b"", b"")).unwrap(), [5]);
    assert!(matches!(tables(&[200, 1]), Err(Unreadable::Unknown(_) | Unreadable::Damaged(_))));
    assert!(matches!(tables(&[7, 0]), Err(Unreadable::Damaged(_))));
}

/// A chunk: of this kind, in a log of this number.
fn chunk(kind: u8, number: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let covered = [&[kind][..], &number.map(u32::to_le_bytes).unwrap_or_default()[..number.map_or(0, |_| 4)], payload];
    let covered = covered.concat();
    let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
    [&bytes::checksum(&covered).to_le_bytes()[..], &length, &covered].concat()
}

fn records(number: Option<u64>, content: &[u8]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, content).unwrap();
    let mut log = Log::open(&ov_sys::RealDisk, &path, number).unwrap();
    std::iter::from_fn(|| log.next().unwrap()).collect()
}

#[test]
fn what_an_earlier_life_of_a_log_left_is_not_read() {
    let own = chunk(5, Some(9), b"own");
    let content = [&own[..], &own, &chunk(5, Some(4), b"old"), &own].concat();
    assert_eq!(records(Some(9), &content), [b"own", b"own"]);
    assert_eq!(records(Some(4), &content), Vec::<Vec<u8>>::new());
    assert_eq!(records(Some(9 + (1 << 32)), &own), [b"own"], "only the lower half of the number is told");
}

#[test]
fn damage_costs_the_rest_of_its_block_and_the_record_that_it_is_in() {
    let block = 32 << 10;
    let first = chunk(2, None, &vec![b'a'; block - 7]);
    let whole = [&first[..], &chunk(4, None, b"b"), &chunk(1, None, b"c")].concat();
    let lengths = |content: &[u8]| records(None, content).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&whole), [block - 6, 1]);
    // Its beginning is damaged: its end alone is nothing.
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    assert_eq!(lengths(&damaged), [1]);
    // Its end is damaged, and with it what follows in the block; the next block is read again.
    let mut damaged = [&whole[..], &vec![0; block - (whole.len() - block)], &chunk(1, None, b"dd")].concat();
    assert_eq!(lengths(&damaged), [block - 6, 1, 2]);
    damaged[block + 7] ^= 1;
    assert_eq!(lengths(&damaged), [2]);
    // A record that is begun anew before it ended.
    assert_eq!(lengths(&[&chunk(2, None, b"torn")[..], &chunk(1, None, b"c")].concat()), [1]);
    assert_eq!(lengths(&whole[..whole.len() - 1]), [block - 6]);
}

/// Looks for a key in a table that is one block with its right checksum, and whose index is that block too.
fn look_in_table(block: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let covered = [block, &[0]].concat();
    let handle = [0, u8::try_from(block.len()).unwrap()];
    let mut footer = [handle, handle].concat();
    footer.resize(40, 0);
    let checksum = bytes::checksum(&covered).to_le_bytes();
    let file = [&covered[..], &checksum, &footer, &0xdb47_7524_8b80_fb57_u64.to_le_bytes()].concat();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("000007.ldb"), file).unwrap();
    let mut newest = Newest::default();
    table::look(&ov_sys::RealDisk, folder.path(), 7, key, &mut newest)?;
    Ok(newest.value)
}

#[test]
fn a_table_is_read_as_far_as_it_is_whole() {
    // One entry, whose value is a place in this very block when it is read as the index.
    let entry = [&[0, 9, 2][..], b"k", &[1, 5, 0, 0, 0, 0, 0, 0], &[0, 22]].concat();
    let block = [&entry[..], &[0, 0, 0, 0, 1, 0, 0, 0]].concat();
    assert_eq!(look_in_table(&block, b"k").unwrap(), Some(vec![0, 22]));
    assert_eq!(look_in_table(&block, b"a").unwrap(), None);
    assert_eq!(look_in_table(&block, b"z").unwrap(), None);
    for wrong in [&block[..block.len() - 1], &[], &[255, 255, 255, 255], &[0, 9, 2, b'k', 0, 0, 0, 0]] {
        assert!(matches!(look_in_table(wrong, b"k"), Err(Unreadable::Damaged(_))), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = written(&bytes, b"k");
        let _ = Manifest::default().apply(&bytes, b"k");
    }

    #[test]
    fn no_block_of_a_table_makes_reading_panic(
        mut block in proptest::collection::vec(0_u8..12, 0..100), restarts in 0_u8..3,
    ) {
        block.extend([restarts, 0, 0, 0]);
        let _ = look_in_table(&block, &[1]);
    }
}
