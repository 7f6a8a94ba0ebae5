//! A model of what a power cut leaves of files, fed with the calls that a program made.
//!
//! As strict as POSIX: a file's bytes are on the disk once it was synced, its name once its directory was, and neither says
//! anything of the other. Real file systems mostly give more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::World;
use super::strace::Call;

/// What is below a directory, and how much of it is not on the disk yet.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    /// Every name that there is.
    names: BTreeSet<PathBuf>,
    /// Names under which something was made and that no rename has given away: nobody depends on them.
    drafts: BTreeSet<PathBuf>,
    /// Files with bytes that are not on the disk.
    unsynced: BTreeSet<PathBuf>,
    /// Names that the disk does not know, or knows for something else.
    appeared: BTreeSet<PathBuf>,
    /// Names that the disk still knows.
    gone: BTreeSet<PathBuf>,
    /// What was done in a wrong order.
    pub wrong: Vec<String>,
}

impl Disk {
    /// A world that is on the disk as it is.
    pub fn of(world: &World) -> Self {
        let root = world.path("");
        let names = world.files(&root).into_iter().map(|name| root.join(name)).collect();
        Self {
            root,
            names,
            drafts: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            appeared: BTreeSet::new(),
            gone: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Everything that one process did. If it said that all is well, all must be on the disk before its last word.
    pub fn run(&mut self, calls: &[Call]) {
        let succeeded = calls.iter().any(|call| call.name == "exit_group" && call.arguments.starts_with('0'));
        let is_word = |call: &Call| call.writes_to(1) || call.writes_to(2) || call.name == "exit_group";
        let last_word = calls.iter().position(|call| call.writes_to(1));
        let last_word = calls.iter().rposition(|call| call.writes_to(2)).max(last_word);
        let last_word = last_word.or_else(|| calls.iter().position(is_word));
        for (index, call) in calls.iter().enumerate() {
            if succeeded && Some(index) == last_word {
                self.expect_all(true, "it says that it is done");
            }
            if call.succeeded {
                self.follow(call);
            }
        }
        // A removal that the disk does not know yet loses nothing, whoever comes next.
        self.gone.clear();
    }

    fn follow(&mut self, call: &Call) {
        let paths: Vec<PathBuf> = call.paths().into_iter().filter(|path| path.starts_with(&self.root)).collect();
        let open = call.open_file().filter(|path| path.starts_with(&self.root)).map(Path::to_owned);
        match (call.name.as_str(), paths.as_slice(), open) {
            ("openat" | "creat", [path], _) if call.arguments.contains("O_CREAT") => {
                if self.names.insert(path.clone()) {
                    self.appeared.insert(path.clone());
                    self.drafts.insert(path.clone());
                }
            }
            ("mkdir" | "mkdirat", [path], _) => {
                self.names.insert(path.clone());
                self.appeared.insert(path.clone());
            }
            ("symlink" | "symlinkat", paths, _) => {
                if let Some(path) = paths.last() {
                    self.names.insert(path.clone());
                    self.appeared.insert(path.clone());
                }
            }
            ("link" | "linkat" | "rename" | "renameat" | "renameat2", [from, to], _) => self.rename(call, from, to),
            ("unlink" | "unlinkat", [path], _) => {
                self.names.remove(path);
                if !self.drafts.remove(path) {
                    self.expect_all(false, &format!("{} is removed", path.display()));
                    self.gone.insert(path.clone());
                }
                self.appeared.remove(path);
                self.unsynced.remove(path);
            }
            ("rmdir", [path], _) => {
                self.names.remove(path);
                self.appeared.remove(path);
                self.gone.insert(path.clone());
            }
            ("write" | "pwrite64" | "writev" | "ftruncate" | "fallocate", _, Some(path)) => {
                if !self.drafts.contains(&path) {
                    self.expect_all(false, &format!("{} is written over", path.display()));
                }
                self.unsynced.insert(path);
            }
            ("write" | "ftruncate", _, None) if call.is_of_nameless() => {
                self.expect_all(false, "what lost its name is written over");
            }
            ("fchmod" | "fchown" | "utimensat", _, Some(path)) => {
                self.unsynced.insert(path);
            }
            ("fsync" | "fdatasync", _, Some(path)) => {
                self.unsynced.remove(&path);
                self.appeared.retain(|name| name.parent() != Some(&path));
                self.gone.retain(|name| name.parent() != Some(&path));
            }
            ("sync" | "syncfs", ..) => {
                self.unsynced.clear();
                self.appeared.clear();
                self.gone.clear();
            }
            _ => {}
        }
    }

    fn rename(&mut self, call: &Call, from: &PathBuf, to: &PathBuf) {
        let exchange = call.arguments.contains("RENAME_EXCHANGE");
        for path in [Some(from), exchange.then_some(to)].into_iter().flatten() {
            if self.unsynced.remove(path) {
                self.wrong.push(format!("{} is renamed and not synced", path.display()));
            }
        }
        self.drafts.remove(from);
        self.drafts.remove(to);
        self.unsynced.remove(to);
        self.names.insert(to.clone());
        self.appeared.insert(to.clone());
        if exchange {
            self.appeared.insert(from.clone());
        } else if call.name.starts_with("rename") {
            self.names.remove(from);
            if !self.appeared.remove(from) {
                self.gone.insert(from.clone());
            }
        }
    }

    /// That everything is on the disk: what came, and, where removals count too, what went.
    fn expect_all(&mut self, removals: bool, when: &str) {
        let counts = |path: &&PathBuf| !self.drafts.contains(*path) && !is_lock(path);
        let unsynced = self.unsynced.iter().filter(counts).map(|path| format!("{} is not synced", path.display()));
        let appeared = self.appeared.iter().filter(counts);
        let gone = self.gone.iter().filter(|_| removals);
        let names = appeared.chain(gone).map(|path| format!("the name {} is not synced", path.display()));
        let wrong: Vec<String> = unsynced.chain(names).map(|what| format!("{when}, and {what}")).collect();
        self.wrong.extend(wrong);
    }
}

/// Holds nothing, and is made anew where it is missing.
fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| name == "lock" || name.ends_with(".lock")))
}
