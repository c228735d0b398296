//! Parser for strace output: reads the file operations of a process, and panics at unknown calls instead of guessing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// System calls that change, sync or open files. A write by any other call would show as missing bytes.
pub const CALLS: &str = "open,openat,creat,mkdir,mkdirat,write,pwrite64,writev,pwritev,pwritev2,lseek,fsync,fdatasync,ftruncate,\
                         truncate,fallocate,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                         copy_file_range,sendfile,sync_file_range,sync,syncfs";

/// One successful file operation of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// File opened, and created if it did not exist.
    Create(PathBuf),
    Folder(PathBuf),
    Write {
        path: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate(PathBuf, u64),
    /// Sync of a file or a folder.
    Sync(PathBuf),
    /// Sync of everything.
    SyncAll,
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Returns the operations below `root`, in order. Paths are relative to `root`.
pub fn read(text: &str, root: &Path) -> Vec<Op> {
    let mut reader = Reader { root, offsets: BTreeMap::new(), begun: BTreeMap::new(), ops: vec![] };
    for line in text.lines() {
        reader.line(line);
    }
    reader.ops
}

struct Reader<'a> {
    root: &'a Path,
    /// Position of the next plain write, by file descriptor.
    offsets: BTreeMap<String, u64>,
    /// Calls that are interrupted in the trace by the call of another thread.
    begun: BTreeMap<String, String>,
    ops: Vec<Op>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let (thread, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no thread: {line}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            return;
        }
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            self.begun.insert(thread.to_owned(), begin.to_owned());
        } else if rest.starts_with("<... ") {
            let begin = self.begun.remove(thread).unwrap_or_else(|| panic!("no beginning: {line}"));
            let end = rest.split_once(" resumed>").unwrap_or_else(|| panic!("no end: {line}")).1;
            self.call(&(begin + end));
        } else {
            self.call(rest);
        }
    }

    fn call(&mut self, line: &str) {
        let (call, result) = line.rsplit_once(" = ").unwrap_or_else(|| panic!("no result: {line}"));
        let (name, args) = call.trim_end().split_once('(').unwrap_or_else(|| panic!("no arguments: {line}"));
        let args: Vec<&str> = args.strip_suffix(')').unwrap_or(args).split(", ").collect();
        // A failed call changed nothing, and neither did a call that the end of the process cut off.
        if !result.starts_with('-') && !result.starts_with('?') {
            self.done(name, &args, result);
        }
    }

    fn done(&mut self, name: &str, args: &[&str], result: &str) {
        match name {
            "openat" => self.opened(args, result),
            "mkdir" => self.push_one(&text(args[0]), Op::Folder),
            "unlink" | "rmdir" => self.push_one(&text(args[0]), Op::Remove),
            "unlinkat" => self.push_one(&format!("{}/{}", file(args[0]), text(args[1])), Op::Remove),
            "rename" => self.push_two(&text(args[0]), &text(args[1]), Op::Rename),
            "renameat2" => self.push_two(&text(args[1]), &text(args[3]), Op::Rename),
            "linkat" => self.push_two(&text(args[1]), &text(args[3]), Op::Link),
            "fsync" | "fdatasync" => self.push_one(&file(args[0]), Op::Sync),
            "syncfs" => self.push_one(&file(args[0]), |_| Op::SyncAll),
            "ftruncate" => {
                let bytes = number(args[1]);
                self.push_one(&file(args[0]), |path| Op::Truncate(path, bytes));
            }
            "pwrite64" => self.written(args, number(args[3]), result),
            "write" => {
                let at = self.offsets.get(descriptor(args[0])).copied().unwrap_or(0);
                self.offsets.insert(descriptor(args[0]).to_owned(), at + number(result));
                self.written(args, at, result);
            }
            "lseek" => drop(self.offsets.insert(descriptor(args[0]).to_owned(), number(result))),
            other => panic!("the disk of this test does not know {other}({args:?})"),
        }
    }

    fn opened(&mut self, args: &[&str], result: &str) {
        let flags = args[2];
        self.offsets.insert(descriptor(result).to_owned(), 0);
        assert!(!flags.contains("O_APPEND") || file(result).ends_with("/acks"), "appending is not told: {args:?}");
        if flags.contains("O_CREAT") {
            self.push_one(&file(result), Op::Create);
        }
        if flags.contains("O_TRUNC") {
            self.push_one(&file(result), |path| Op::Truncate(path, 0));
        }
    }

    fn written(&mut self, args: &[&str], at: u64, result: &str) {
        let bytes = unescape(args[1].trim_start_matches('"').trim_end_matches('"'));
        assert_eq!(bytes.len() as u64, number(result), "a write was cut short, by the disk or in the trace");
        self.push_one(&file(args[0]), |path| Op::Write { path, at, bytes });
    }

    /// Adds an operation, if its path is below the root.
    fn push_one(&mut self, path: &str, op: impl FnOnce(PathBuf) -> Op) {
        self.ops.extend(self.below(path).map(op));
    }

    fn push_two(&mut self, from: &str, to: &str, op: impl FnOnce(PathBuf, PathBuf) -> Op) {
        self.ops.extend(self.below(from).zip(self.below(to)).map(|(from, to)| op(from, to)));
    }

    fn below(&self, path: &str) -> Option<PathBuf> {
        Path::new(path).strip_prefix(self.root).ok().map(Path::to_owned)
    }
}

/// Returns the number of a file descriptor: `5` in `5</path>`.
fn descriptor(arg: &str) -> &str {
    arg.split('<').next().unwrap_or(arg)
}

/// Returns the path of a file descriptor. A file that has lost its name keeps it here with a mark, and returns an empty
/// path.
fn file(arg: &str) -> String {
    let (_, path) = arg.split_once('<').unwrap_or_else(|| panic!("no path: {arg}"));
    let (path, mark) = path.split_once('>').unwrap_or_else(|| panic!("no path: {arg}"));
    if mark.trim().is_empty() { string(path) } else { String::new() }
}

/// Returns the text of a string argument.
fn text(arg: &str) -> String {
    string(arg.trim_matches('"'))
}

fn string(escaped: &str) -> String {
    String::from_utf8(unescape(escaped)).expect("paths here are UTF-8")
}

/// Decodes bytes from `\x61\x62`.
fn unescape(escaped: &str) -> Vec<u8> {
    let bytes = escaped.split("\\x").skip(1);
    bytes.map(|hex| u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("no byte: {hex}"))).collect()
}

fn number(arg: &str) -> u64 {
    let digits: String = arg.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number: {arg}"))
}
