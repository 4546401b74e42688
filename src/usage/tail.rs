//! One file, read on from where the last reading ended. Rows are kept small, so that a poll costs only what is new.

use super::line::{Class, Reader};
use crate::support::text::clean_to;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// A longer line is no log line.
const LONGEST_LINE: u64 = 1 << 20;
/// So much of the start of a file is remembered, to notice that it was rewritten.
const HEAD: usize = 256;
/// Longer ids are not ours, and nobody else's matter.
const LONGEST_ID: usize = 256;
/// So many different callers are told apart; all others share one name, which no consumer claims.
const MOST_CALLERS: usize = 65_536;
const MORE_CALLERS: &str = "(more callers)";

/// Texts that repeat, each kept once.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_text: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.by_text.insert(text.into(), number);
        number
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|n| self.texts.get(n)).map_or("", |t| t)
    }
}

/// What all files share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) keys: Names,
    /// Callers and owners, cleaned.
    pub(super) people: Names,
    pub(super) shards: Names,
}

impl Shared {
    fn person(&mut self, text: &str) -> u32 {
        if let Some(number) = self.people.find(text) {
            return number;
        }
        if self.people.texts.len() >= MOST_CALLERS {
            return self.people.number(MORE_CALLERS);
        }
        self.people.number(&clean_to(text, 128))
    }

    fn shard(&mut self, text: &str) -> u32 {
        match self.shards.find(text) {
            Some(number) => number,
            None => self.shards.number(&clean_to(text, 256)),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) at: i64,
    pub(super) key: u32,
    pub(super) caller: u32,
    pub(super) owner: u32,
    pub(super) shard: u32,
    pub(super) class: Class,
    id_at: u32,
    id_len: u16,
}

/// A file as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    offset: u64,
    head: Vec<u8>,
    skipping: bool,
    ids: String,
    pub(super) rows: Vec<Row>,
    /// For each line that could not be read, how many rows came before it.
    pub(super) malformed: Vec<usize>,
}

impl Tail {
    /// The request id of a row.
    pub(super) fn id(&self, row: &Row) -> &str {
        let at = usize::try_from(row.id_at).unwrap_or(usize::MAX);
        self.ids.get(at..at.saturating_add(usize::from(row.id_len))).unwrap_or_default()
    }

    /// Reads what was appended. A file that was cut or rewritten is read from its start, and what it held before is forgotten.
    pub(super) fn catch_up(&mut self, mut file: File, reader: &Reader, shared: &mut Shared, shard: &str) -> io::Result<()> {
        let size = file.metadata()?.len();
        if size == self.offset && size > 0 && self.offset > 0 && same_head(&mut file, &self.head)? {
            return Ok(());
        }
        if size < self.offset || !same_head(&mut file, &self.head)? {
            *self = Self::default();
        }
        if self.head.len() < HEAD {
            file.seek(SeekFrom::Start(0))?;
            self.head.clear();
            (&mut file).take(HEAD as u64).read_to_end(&mut self.head)?;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut input = BufReader::with_capacity(256 * 1024, file).take(size.saturating_sub(self.offset));
        let mut line = Vec::with_capacity(4096);
        loop {
            line.clear();
            let read = (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let length = u64::try_from(read).unwrap_or(0);
            let whole = line.last() == Some(&b'\n');
            if !whole && length < LONGEST_LINE && !self.skipping {
                // The writer is in the middle of this line: it is read when it is whole.
                return Ok(());
            }
            self.offset = self.offset.saturating_add(length);
            if self.skipping {
                self.skipping = !whole;
                continue;
            }
            if !whole {
                self.skipping = true;
                self.malformed.push(self.rows.len());
                continue;
            }
            self.take(&line, reader, shared, shard)?;
        }
    }

    fn take(&mut self, line: &[u8], reader: &Reader, shared: &mut Shared, shard: &str) -> io::Result<()> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let Some(read) = reader.read(line) else {
            self.malformed.push(self.rows.len());
            return Ok(());
        };
        let id = if read.request.len() <= LONGEST_ID { read.request.as_ref() } else { "" };
        let id_at = u32::try_from(self.ids.len()).map_err(|_| io::Error::other("it has too many rows to count in memory"))?;
        let id_len = u16::try_from(id.len()).unwrap_or(0);
        self.ids.push_str(id);
        self.rows.push(Row {
            at: read.at.0,
            key: shared.keys.number(&read.key),
            caller: shared.person(&read.caller),
            owner: shared.person(&read.owner),
            shard: shared.shard(if read.shard.is_empty() { shard } else { &read.shard }),
            class: read.class,
            id_at,
            id_len,
        });
        Ok(())
    }
}

fn same_head(file: &mut File, head: &[u8]) -> io::Result<bool> {
    let mut now = vec![0; head.len()];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut now) {
        Ok(()) => Ok(now == head),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
