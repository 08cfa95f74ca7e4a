//! What an ELF file says about where it can run.
//!
//! Only headers and the tables of the dynamic linker are read, in pieces: programs are hundreds of megabytes. The
//! bytes are not trusted: every table has a bound, and no input makes this panic or loop.

use std::ops::Range;
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionTable};
use object::read::{ReadCache, ReadCacheOps, ReadRef, StringTable};
use object::{Endian, Endianness, FileKind};
use ov_sys::disk::Disk;

/// The largest single table that is read.
const TABLE_LEN_MAX: u64 = 16 << 20;
/// How many entries of one kind are looked at.
const ENTRIES_MAX: usize = 4096;

/// Why a file's ELF facts are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It does not begin like an ELF file.
    #[error("find an ELF header")]
    NotElf,
    /// It begins like one, and then is damaged or beyond every bound.
    #[error("read the ELF tables: {0}")]
    Damaged(String),
}

/// What an ELF file says about where it can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElfFacts {
    /// The processor, as `e_machine` counts them.
    pub machine: u16,
    /// 64 bit, or else 32.
    pub is_64: bool,
    /// Little endian, or else big.
    pub is_little: bool,
    /// The loader it asks for; without one it loads itself.
    pub interpreter: Option<PathBuf>,
    /// Libraries it needs.
    pub needed: Vec<String>,
    /// Where to look for them, and for those of its libraries.
    pub rpath: Vec<String>,
    /// Where to look for them, after the environment's folders.
    pub runpath: Vec<String>,
    /// Versions it needs: of which library, and which. Weak ones are left out.
    pub versions_needed: Vec<(String, String)>,
    /// Versions it defines.
    pub versions_defined: Vec<String>,
    /// The level of x86-64 that it needs, from 1; 0 if it does not say.
    pub x86_64_level: u32,
}

/// Reads the ELF facts of a file.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<ElfFacts, ElfError> {
    // What cannot be opened has no header to find; whoever looks for a script next says why.
    let cache = ReadCache::new(disk.open(path).map_err(|_| ElfError::NotElf)?);
    parse_any(Bounded(&cache))
}

/// Reads the ELF facts of bytes in memory; total over all inputs.
pub fn parse(bytes: &[u8]) -> Result<ElfFacts, ElfError> {
    let cache = ReadCache::new(std::io::Cursor::new(bytes));
    parse_any(Bounded(&cache))
}

fn parse_any<'data, R: ReadRef<'data>>(data: R) -> Result<ElfFacts, ElfError> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf32) => parse_class::<FileHeader32<Endianness>, R>(data),
        Ok(FileKind::Elf64) => parse_class::<FileHeader64<Endianness>, R>(data),
        _ => Err(ElfError::NotElf),
    }
}

fn damaged(error: impl std::fmt::Display) -> ElfError {
    ElfError::Damaged(error.to_string())
}

fn parse_class<'data, Elf, R>(data: R) -> Result<ElfFacts, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let mut facts = ElfFacts {
        machine: header.e_machine(endian).0,
        is_64: header.is_class_64(),
        is_little: endian.is_little_endian(),
        ..ElfFacts::default()
    };
    let segments = header.program_headers(endian, data).map_err(damaged)?;
    let mut dynamic: &[Elf::Dyn] = &[];
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, data).map_err(damaged)? {
            facts.interpreter = Some(PathBuf::from(text(path)?));
        }
        if let Some(entries) = segment.dynamic(endian, data).map_err(damaged)? {
            dynamic = entries;
        }
        facts.x86_64_level = facts.x86_64_level.max(read_level::<Elf, R>(endian, segment, data).unwrap_or(0));
    }
    if !dynamic.is_empty() {
        read_dynamic::<Elf, R>(&mut facts, endian, segments, dynamic, data)?;
        // Only the table of sections leads to the versions; a file without one runs all the same.
        let sections = header.sections(endian, data).map_err(damaged)?;
        read_versions_needed(&mut facts, endian, &sections, data)?;
        read_versions_defined(&mut facts, endian, &sections, data)?;
    }
    Ok(facts)
}

/// The level of x86-64 that a segment of notes says is needed. Notes that cannot be read say nothing: loaders pass over
/// them too.
fn read_level<'data, Elf, R>(endian: Endianness, segment: &Elf::ProgramHeader, data: R) -> Option<u32>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let mut notes = segment.notes(endian, data).ok()??;
    let mut level = None;
    for _ in 0..ENTRIES_MAX {
        let Ok(Some(note)) = notes.next() else { break };
        for property in note.gnu_properties(endian).into_iter().flatten().take(ENTRIES_MAX) {
            let Ok(property) = property else { break };
            if property.pr_type() == elf::GNU_PROPERTY_X86_ISA_1_NEEDED {
                // One bit a level, the lowest of them the first.
                let bits = property.data_u32(endian).ok()?;
                level = level.max(Some(u32::BITS - bits.leading_zeros()));
            }
        }
    }
    level
}

fn read_dynamic<'data, Elf, R>(
    facts: &mut ElfFacts,
    endian: Endianness,
    segments: &[Elf::ProgramHeader],
    dynamic: &[Elf::Dyn],
    data: R,
) -> Result<(), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let entries = || dynamic.iter().take(ENTRIES_MAX).take_while(|entry| entry.tag(endian) != elf::DT_NULL);
    let value = |tag| entries().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian));
    let (Some(address), Some(len)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Ok(()) };
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
        let into = address.checked_sub(segment.p_vaddr(endian).into())?;
        let (offset, size) = segment.file_range(endian);
        (into < size).then(|| offset.saturating_add(into))
    });
    let start = loaded.ok_or_else(|| damaged("the table of strings is not loaded"))?;
    let strings = StringTable::new(data, start, start.saturating_add(len));
    for entry in entries() {
        let list = match entry.tag(endian) {
            elf::DT_NEEDED => &mut facts.needed,
            elf::DT_RPATH => &mut facts.rpath,
            elf::DT_RUNPATH => &mut facts.runpath,
            _ => continue,
        };
        let text = text(entry.string(endian, strings).map_err(damaged)?)?;
        if entry.tag(endian) == elf::DT_NEEDED {
            list.push(text);
        } else {
            list.extend(text.split(':').filter(|path| !path.is_empty()).map(str::to_owned));
        }
    }
    Ok(())
}

fn read_versions_needed<'data, Elf, R>(
    facts: &mut ElfFacts,
    endian: Endianness,
    sections: &SectionTable<'data, Elf, R>,
    data: R,
) -> Result<(), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, data).map_err(damaged)? else { return Ok(()) };
    let strings = sections.strings(endian, data, link).map_err(damaged)?;
    while let Some((library, mut versions)) = libraries.next().map_err(damaged)? {
        let file = text(library.file(endian, strings).map_err(damaged)?)?;
        while let Some(version) = versions.next().map_err(damaged)? {
            if !version.vna_flags.get(endian).contains(elf::VER_FLG_WEAK) {
                facts.versions_needed.push((file.clone(), text(version.name(endian, strings).map_err(damaged)?)?));
            }
            // The tables link forwards by offsets of their own choice: a count is the only bound.
            if facts.versions_needed.len() > ENTRIES_MAX {
                return Err(damaged("too many versions"));
            }
        }
    }
    Ok(())
}

fn read_versions_defined<'data, Elf, R>(
    facts: &mut ElfFacts,
    endian: Endianness,
    sections: &SectionTable<'data, Elf, R>,
    data: R,
) -> Result<(), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let Some((mut versions, link)) = sections.gnu_verdef(endian, data).map_err(damaged)? else { return Ok(()) };
    let strings = sections.strings(endian, data, link).map_err(damaged)?;
    while let Some((_, mut names)) = versions.next().map_err(damaged)? {
        // The first name is the version's own; the others are those it inherits from.
        if let Some(name) = names.next().map_err(damaged)? {
            facts.versions_defined.push(text(name.name(endian, strings).map_err(damaged)?)?);
        }
        if facts.versions_defined.len() > ENTRIES_MAX {
            return Err(damaged("too many versions"));
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String, ElfError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damaged("a name is not UTF-8"))
}

/// Refuses to read a single table beyond [`TABLE_LEN_MAX`], whatever the file claims.
struct Bounded<'data, O: ReadCacheOps>(&'data ReadCache<O>);

impl<O: ReadCacheOps> Clone for Bounded<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: ReadCacheOps> Copy for Bounded<'_, O> {}

impl<'data, O: ReadCacheOps> ReadRef<'data> for Bounded<'data, O> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        if size > TABLE_LEN_MAX { Err(()) } else { self.0.read_bytes_at(offset, size) }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        self.0.read_bytes_at_until(range, delimiter)
    }
}
