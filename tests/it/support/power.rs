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
    store: PathBuf,
    /// Every name that there is.
    names: BTreeSet<PathBuf>,
    /// Those of directories that were made.
    directories: BTreeSet<PathBuf>,
    /// Names under which something was made and that no rename has given away: nobody depends on them.
    drafts: BTreeSet<PathBuf>,
    /// Files with bytes that are not on the disk.
    unsynced: BTreeSet<PathBuf>,
    /// Names that the disk does not know, or knows for something else.
    appeared: BTreeSet<PathBuf>,
    /// Names that the disk still knows.
    gone: BTreeSet<PathBuf>,
    /// Bytes and names of which it was said that they could not be put on the disk.
    given_up: (BTreeSet<PathBuf>, BTreeSet<PathBuf>),
    /// Whether a file that is let go of depends on the store and on its own directory alone.
    pub in_parts: bool,
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
            store: world.store(),
            names,
            directories: BTreeSet::new(),
            drafts: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            appeared: BTreeSet::new(),
            gone: BTreeSet::new(),
            given_up: Default::default(),
            in_parts: false,
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
                self.expect_all(None, "it says that it is done");
            }
            if call.succeeded {
                self.follow(call);
            } else if self.in_parts && call.name == "fsync" {
                self.give_up(call.open_file());
            }
        }
        let (bytes, names) = std::mem::take(&mut self.given_up);
        self.unsynced.extend(bytes.into_iter().filter(|path| self.names.contains(path)));
        self.appeared.extend(names.into_iter().filter(|path| self.names.contains(path)));
        // A removal that the disk does not know yet loses nothing, whoever comes next.
        self.gone.clear();
    }

    fn follow(&mut self, call: &Call) {
        let paths: Vec<PathBuf> = call.paths().into_iter().filter(|path| path.starts_with(&self.root)).collect();
        let open = call.open_file().filter(|path| path.starts_with(&self.root)).map(Path::to_owned);
        match (call.name.as_str(), paths.as_slice(), open) {
            ("open" | "openat" | "creat", [path], _) if call.changes() && self.names.insert(path.clone()) => {
                self.appeared.insert(path.clone());
                self.drafts.insert(path.clone());
            }
            ("mkdir" | "mkdirat", [path], _) => {
                self.names.insert(path.clone());
                self.directories.insert(path.clone());
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
                    self.expect_all(Some(path), "it is removed");
                    self.gone.insert(path.clone());
                }
                self.appeared.remove(path);
                self.unsynced.remove(path);
            }
            ("rmdir", [path], _) => {
                self.names.remove(path);
                self.appeared.remove(path);
                // Once a directory is off the disk, so is what was in it.
                self.gone.retain(|gone| !gone.starts_with(path));
                self.gone.insert(path.clone());
            }
            ("write" | "pwrite64" | "writev" | "ftruncate" | "fallocate", _, Some(path)) => {
                if !self.drafts.contains(&path) {
                    self.expect_all(Some(&path), "it is written over");
                }
                self.unsynced.insert(path);
            }
            ("write" | "ftruncate", _, None) if call.is_of_nameless() => {
                self.expect_all(Some(Path::new("a file without a name")), "it is written over");
            }
            ("fchmod" | "fchown" | "utimensat", _, Some(path)) => {
                self.unsynced.insert(path);
            }
            ("fsync" | "fdatasync", _, Some(path)) => {
                self.unsynced.remove(&path);
                self.appeared.retain(|name| name.parent() != Some(&path));
                self.given_up.0.remove(&path);
                self.given_up.1.retain(|name| name.parent() != Some(&path));
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

    /// What could not be put on the disk, which the program knows.
    fn give_up(&mut self, path: Option<&Path>) {
        let Some(path) = path else { return };
        self.given_up.0.extend(self.unsynced.take(path));
        let (names, appeared) =
            std::mem::take(&mut self.appeared).into_iter().partition(|name| name.parent() == Some(path));
        self.appeared = appeared;
        self.given_up.1.extend::<BTreeSet<PathBuf>>(names);
    }

    fn rename(&mut self, call: &Call, from: &PathBuf, to: &PathBuf) {
        let exchange = call.arguments.contains("RENAME_EXCHANGE");
        for (path, name) in [Some((from, to)), exchange.then_some((to, from))].into_iter().flatten() {
            // Nobody depends on what gets a temporary name.
            if self.unsynced.remove(path) && !is_temporary(name) {
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

    /// Whether a file of the store is no backup, or one of a file that lies beside what is let go of. The others may do without.
    fn is_backup_beside(&self, path: &Path, let_go: Option<&Path>) -> bool {
        let below = path.strip_prefix(self.store.join("backups")).ok();
        let of = below.and_then(|below| below.iter().next()?.to_str());
        let of = of.map(|of| percent_encoding::percent_decode_str(of).decode_utf8_lossy().into_owned());
        let_go.zip(of).is_none_or(|(gone, of)| Path::new(&of).parent() == gone.parent())
    }

    /// That everything is on the disk: what came and what went, at the end; what came, before something is let go of.
    fn expect_all(&mut self, let_go: Option<&Path>, when: &str) {
        let concerns = |path: &Path| {
            let is_beside = let_go.is_none_or(|gone| gone.parent() == path.parent());
            let is_needed = path.starts_with(&self.store) && self.is_backup_beside(path, let_go);
            !is_temporary(path) && !is_lock(path) && (!self.in_parts || is_beside || is_needed)
        };
        let unsynced = self.unsynced.iter().filter(|path| concerns(path)).map(|path| ("content", path));
        let gone = self.gone.iter().filter(|path| let_go.is_none() && !is_temporary(path));
        // A directory with nothing in it holds nothing.
        let is_empty = |path: &PathBuf| {
            let mut below = self.names.range(path.clone()..).skip(1).take_while(|name| name.starts_with(path));
            self.directories.contains(path) && below.next().is_none()
        };
        let appeared = self.appeared.iter().filter(|path| concerns(path) && !is_empty(path));
        let names = appeared.chain(gone).map(|path| ("name", path));
        let say = |(what, path): (&str, &PathBuf)| {
            let gone = let_go.map(|gone| format!("{}: ", gone.display())).unwrap_or_default();
            format!("{gone}{when}, and the {what} of {} is not on the disk", path.display())
        };
        let wrong: Vec<String> = unsynced.chain(names).map(say).collect();
        self.wrong.extend(wrong);
    }
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with(".coffer-")))
}

/// Holds nothing, and is made anew where it is missing.
fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| name == "lock" || name.ends_with(".lock")))
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::super::strace::parse;
    use super::Disk;

    /// What is wrong with calls, in which `/W` is a world that holds `/W/home/old` and `/W/home/lock`.
    fn wrong(log: &str) -> usize {
        let world = World::new();
        world.write("old", "old");
        world.write("lock", "");
        let mut disk = Disk::of(&world);
        disk.run(&parse(&log.replace("/W/", &format!("{}", world.path("").display()))));
        disk.wrong.len()
    }

    const WRITTEN: &str = r#"openat(AT_FDCWD</W/home>, "/W/home/.coffer-1", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</W/home/.coffer-1>
write(3</W/home/.coffer-1>, ""..., 3) = 3
"#;
    const SYNCED: &str = "fsync(3</W/home/.coffer-1>) = 0\n";
    const RENAMED: &str = r#"renameat(AT_FDCWD</W/home>, "/W/home/.coffer-1", AT_FDCWD</W/home>, "/W/home/new") = 0
"#;
    const SETTLED: &str = "fsync(4</W/home>) = 0\n";
    const REMOVED: &str = "unlink(\"/W/home/old\") = 0\n";
    const DONE: &str = "exit_group(0) = ?\n";

    #[test]
    fn the_right_order_is_right() {
        assert_eq!(wrong(&[WRITTEN, SYNCED, RENAMED, SETTLED, REMOVED, SETTLED, DONE].concat()), 0);
        assert_eq!(wrong(&[WRITTEN, SYNCED, RENAMED, SETTLED, DONE].concat()), 0);
        // Killed, or failed and said so.
        assert_eq!(wrong(&[WRITTEN, SYNCED, RENAMED].concat()), 0);
        assert_eq!(wrong(&[WRITTEN, "exit_group(1) = ?\n"].concat()), 0);
        let removed = "unlink(\"/W/home/dir/old\") = 0\nrmdir(\"/W/home/dir\") = 0\n";
        assert_eq!(wrong(&[removed, SETTLED, DONE].concat()), 0);
        assert_eq!(wrong(&[removed, DONE].concat()), 1);
    }

    #[test]
    fn every_sync_that_is_left_out_or_late_is_noticed() {
        for log in [
            [WRITTEN, RENAMED, SETTLED, DONE].as_slice(),
            &[WRITTEN, RENAMED, SYNCED, SETTLED, DONE],
            &[WRITTEN, SYNCED, RENAMED, DONE],
            &[WRITTEN, SYNCED, RENAMED, REMOVED, SETTLED, DONE],
            &[WRITTEN, SYNCED, RENAMED, SETTLED, REMOVED, DONE],
            &[WRITTEN, "fsync(3</W/home/.coffer-1>) = -1 EIO (Input/output error)\n", RENAMED],
            &[WRITTEN, SYNCED, RENAMED, "write(2<pipe:[1]>, \"\"..., 4) = 4\n", SETTLED, DONE],
            &["mkdir(\"/W/home/a\", 0700) = 0\nsymlink(\"x\", \"/W/home/a/b\") = 0\nfsync(3</W/home/a>) = 0\n", DONE],
        ] {
            assert!(wrong(&log.concat()) > 0, "{log:#?}");
        }
    }
}
