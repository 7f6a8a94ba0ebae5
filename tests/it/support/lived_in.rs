//! A home in which clients have left logins in plaintext, and what must be true of it whatever happens to a migration.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::World;

/// Stands in every secret that can be moved, so that one search finds them all.
pub const SECRET: &str = "HUNTER2-IN-CLEAR";

/// Stands in every secret that has to stay.
const FIXED: &str = "STAYS-WHERE-IT-IS";

const DOCKER: &str = "home/.docker/config.json";
const CONTAINERS: &str = "run/containers/auth.json";
const LEGACY: &str = "home/.dockercfg";
const CACHE: &str = "home/.ecr/cache.json";

/// A login, and where it lay at first.
pub struct Login {
    pub file: &'static str,
    pub key: String,
    /// Its name in the store.
    pub server: String,
    pub username: String,
    pub secret: String,
}

/// A world with logins in Docker's configuration, podman's and Docker's of before 2015, and ecr-login's cache.
pub struct LivedIn {
    pub world: World,
    pub logins: Vec<Login>,
    /// What the files held at first.
    before: Vec<Vec<u8>>,
}

/// Where a migration ends.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// Every file outside Coffer's own directory.
    files: BTreeMap<String, Vec<u8>>,
    held: BTreeMap<String, (String, String)>,
    /// What the newest backups give back.
    backups: BTreeMap<String, Vec<u8>>,
}

impl LivedIn {
    /// With so many logins in Docker's configuration, besides what no helper can carry.
    pub fn new(count: usize) -> Self {
        let world = World::new();
        let mut logins: Vec<Login> = (0..count).map(|number| login(DOCKER, &format!("r{number}.example"))).collect();
        logins.push(Login {
            server: "https://index.docker.io/v1/".into(),
            ..login(DOCKER, "https://index.docker.io/v1/")
        });
        logins.push(login(DOCKER, "namespace.example/team"));
        logins.push(Login { username: "<token>".into(), ..login(DOCKER, "token.example:5000") });
        logins.push(login(CONTAINERS, "podman.example"));
        logins.push(login(CONTAINERS, "podman.example:8443"));
        logins.push(Login { server: "legacy.example".into(), ..login(LEGACY, "https://legacy.example/v1/") });
        let of = |file: &str| -> serde_json::Map<String, Value> {
            let logins = logins.iter().filter(|login| login.file == file);
            logins.map(|login| (login.key.clone(), entry(login))).collect()
        };
        let mut auths = of(DOCKER);
        auths.insert("fixed.example".into(), json!({ "registrytoken": FIXED }));
        auths.insert("marker.example".into(), json!({}));
        let docker = json!({
            "zeta": [1, { "of": "<somebody else>" }], "auths": auths,
            "HttpHeaders": { "X-Meta": FIXED }, "proxies": {}, "psFormat": "table {{.ID}}",
        });
        let token = STANDARD.encode(format!("AWS:{SECRET}"));
        let cache = json!({ "Registries": { "x": { "AuthorizationToken": token } }, "Version": "1.0" });
        let mut before = Vec::new();
        for (file, content) in [
            (DOCKER, docker),
            (CONTAINERS, json!({ "auths": of(CONTAINERS) })),
            (LEGACY, Value::Object(of(LEGACY))),
            (CACHE, cache),
        ] {
            let path = world.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.to_string()).unwrap();
            before.push(content.to_string().into_bytes());
        }
        Self { world, logins, before }
    }

    /// Where it is now.
    pub fn end(&self) -> End {
        let root = self.world.path("");
        let mut files = BTreeMap::new();
        for name in self.world.files(&root).into_iter().filter(|name| !name.contains("share/coffer/")) {
            let bytes = fs::read(root.join(&name)).unwrap();
            files.insert(name, bytes);
        }
        End { files, held: held(&self.world.store()), backups: self.backups() }
    }

    /// The newest backup of each file, by the file's place in this world.
    fn backups(&self) -> BTreeMap<String, Vec<u8>> {
        let store = self.world.store();
        let mut backups = BTreeMap::new();
        for name in self.world.files(&store.join("backups")).into_iter().filter(|name| !name.ends_with("-undone.age")) {
            let (file, _) = name.rsplit_once('/').unwrap();
            let file = percent_encoding::percent_decode_str(file).decode_utf8().unwrap();
            let file = file.strip_prefix(self.world.path("").to_str().unwrap()).unwrap().to_owned();
            // In the order of their moments.
            backups.insert(file, open(&store, &store.join("backups").join(&name)));
        }
        backups
    }

    /// That every login is in the store or still in its file, and that every file is one.
    #[track_caller]
    pub fn has_lost_nothing(&self, when: &str) {
        lacks_nothing(&self.world.path(""), &self.world.store(), &self.logins, when);
    }

    /// That nothing lies in clear but what did before, as it did: in its file, or beside it on its way out or back.
    #[track_caller]
    pub fn is_no_clearer(&self, when: &str) {
        for path in self.world.files_with(&self.world.path(""), SECRET) {
            let bytes = fs::read(&path).unwrap();
            assert!(self.before.contains(&bytes), "{when}: {}", path.display());
            assert!(!path.starts_with(self.world.store()), "{when}: {}", path.display());
        }
        for path in self.world.files_with(&self.world.path(""), "AGE-SECRET-KEY-1") {
            assert_eq!(path.parent(), Some(&*self.world.store()), "{when}");
        }
    }

    /// That every file is as it was at first.
    #[track_caller]
    pub fn is_as_before(&self, when: &str) {
        let files = self.world.files_with(&self.world.path(""), SECRET);
        let mut found: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
        let mut before = self.before.clone();
        // A cache of tokens has no copy: they expire.
        before.retain(|bytes| !bytes.starts_with(b"{\"Registries"));
        found.sort();
        before.sort();
        assert!(found == before, "{when}: {files:?}");
    }

    /// That a migration ended: nothing left beside, nothing in clear.
    #[track_caller]
    pub fn is_clean(&self, when: &str) {
        let root = self.world.path("");
        let left = self.world.files(&root).into_iter().filter(|name| name.contains("/.coffer-"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "{when}");
        assert_eq!(self.world.files_with(&root, SECRET), Vec::<PathBuf>::new(), "{when}");
    }

    /// That it holds and says what it does after an undisturbed migration, if in another order, as when it took two.
    #[track_caller]
    pub fn ended_alike(&self, undisturbed: &End, when: &str) {
        let end = self.end();
        assert_eq!(end.held, undisturbed.held, "{when}");
        let parsed = |end: &End| -> BTreeMap<String, Value> {
            let files = end.files.iter();
            files
                .map(|(name, bytes)| {
                    let text = || String::from_utf8_lossy(bytes).into_owned().into();
                    (name.clone(), serde_json::from_slice(bytes).unwrap_or_else(|_| text()))
                })
                .collect()
        };
        assert_eq!(parsed(&end), parsed(undisturbed), "{when}");
        self.is_clean(when);
    }

    /// That it ended where an undisturbed migration of the same files ended.
    #[track_caller]
    pub fn ended(&self, undisturbed: &End, when: &str) {
        let end = self.end();
        assert_eq!(end.held, undisturbed.held, "{when}");
        assert!(end.files.keys().eq(undisturbed.files.keys()), "{when}: {:?}", end.files.keys());
        for (name, bytes) in &end.files {
            let (found, expected) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&undisturbed.files[name]));
            assert_eq!(found, expected, "{when}: {name}");
        }
        for (name, bytes) in &undisturbed.backups {
            let found = end.backups.get(name).map(|found| String::from_utf8_lossy(found));
            assert_eq!(found, Some(String::from_utf8_lossy(bytes)), "{when}: backup of {name}");
        }
        self.is_clean(when);
    }
}

fn login(file: &'static str, key: &str) -> Login {
    let username = format!("user of {}", key.replace(':', "-"));
    Login { file, key: key.into(), server: key.into(), username, secret: format!("{SECRET}-{key}") }
}

fn entry(login: &Login) -> Value {
    if login.username == "<token>" {
        return json!({ "auth": "", "identitytoken": login.secret, "note": 1.50 });
    }
    json!({ "auth": STANDARD.encode(format!("{}:{}", login.username, login.secret)), "email": "u@example.com" })
}

/// Below `root`, with a store in `store`: every login can be read in at least one place.
#[track_caller]
pub fn lacks_nothing(root: &Path, store: &Path, logins: &[Login], when: &str) {
    let files: BTreeMap<&str, Value> = [DOCKER, CONTAINERS, LEGACY]
        .into_iter()
        .map(|file| {
            let bytes = fs::read(root.join(file)).unwrap_or_else(|error| panic!("{when}: {file}: {error}"));
            let value = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{when}: {file}: {error}"));
            (file, value)
        })
        .collect();
    let mut opened = None;
    for login in logins {
        let file = &files[login.file];
        let there = file.get("auths").unwrap_or(file).get(&login.key);
        if there == Some(&entry(login)) {
            continue;
        }
        let held = opened.get_or_insert_with(|| held(store));
        let expected = (login.username.clone(), login.secret.clone());
        assert_eq!(held.get(&login.server), Some(&expected), "{when}: {} is lost", login.key);
    }
}

/// Everything that a store holds, read without Coffer, as its files say.
pub fn held(store: &Path) -> BTreeMap<String, (String, String)> {
    let mut held = BTreeMap::new();
    for server in fs::read_dir(store.join("store")).into_iter().flatten().flatten() {
        for file in fs::read_dir(server.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "age") {
                let login: Value = serde_json::from_slice(&open(store, &file.path())).unwrap();
                let text = |name: &str| login[name].as_str().unwrap().to_owned();
                held.insert(text("ServerURL"), (text("Username"), text("Secret")));
            }
        }
    }
    held
}

fn open(store: &Path, path: &Path) -> Vec<u8> {
    let identities = fs::read_to_string(store.join("identities")).unwrap();
    let identity = identities.lines().find(|line| !line.starts_with('#')).unwrap();
    let identity: age::x25519::Identity = identity.parse().unwrap();
    let bytes = fs::read(path).unwrap();
    let mut plaintext = Vec::new();
    let decryptor = age::Decryptor::new(&bytes[..]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decryptor.decrypt(iter::once(&identity as _)).unwrap().read_to_end(&mut plaintext).unwrap();
    plaintext
}

/// Does something with each item, two at a time.
pub fn in_two_threads<T: Sync>(items: &[T], act: impl Fn(&T) + Sync) {
    let act = &act;
    thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || items.iter().skip(part).step_by(2).for_each(act));
        }
    });
}
