//! The default helpers of podman, skopeo and buildah: `credential-helpers` in registries.conf (containers-registries.conf(5)).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::{self, Privacy};
use crate::settings::{home, variable};

/// What stands in the list for the entries of auth.json.
pub const AUTH_FILES: &str = "containers-auth.json";

/// The longest file that is read.
const MAX_CONF: u64 = 1 << 20;

/// Where the system's lies, and its drop-ins in a directory of that name and `.d`.
const SYSTEM: &str = "/etc/containers/registries.conf";

/// Who is asked for every registry, in this order, and the file that says so.
pub struct DefaultHelpers {
    /// Names of helpers, and [`AUTH_FILES`].
    pub names: Vec<String>,
    /// The last file that names any: each takes the place of those before it.
    pub path: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Conf {
    #[serde(default)]
    credential_helpers: Vec<String>,
}

/// The default helpers, if any file that can be read names them.
pub fn default_helpers() -> Option<DefaultHelpers> {
    paths().into_iter().rev().find_map(|path| {
        let names = names_in(&path)?;
        (!names.is_empty()).then_some(DefaultHelpers { names, path })
    })
}

fn names_in(path: &Path) -> Option<Vec<String>> {
    let bytes = files::read(path, MAX_CONF, Privacy::Any).ok()??;
    let conf: Conf = toml::from_slice(&bytes).ok()?;
    Some(conf.credential_helpers)
}

/// Every file that is read, in order. A user's own registries.conf takes the place of the system's, drop-ins and all.
fn paths() -> Vec<PathBuf> {
    // Below the home directory, whatever XDG_CONFIG_HOME says.
    let own = home().ok().map(|home| home.join(".config/containers/registries.conf"));
    let system = variable("CONTAINERS_REGISTRIES_CONF").map_or_else(|| SYSTEM.into(), PathBuf::from);
    let (main, directories) = match own {
        Some(own) if own.exists() => (own.clone(), vec![drop_ins(&own)]),
        own => {
            (system, [Some(drop_ins(Path::new(SYSTEM))), own.as_deref().map(drop_ins)].into_iter().flatten().collect())
        }
    };
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "conf");
    let dropped = directories.iter().flat_map(|directory| files::entries(directory).unwrap_or_default());
    [main].into_iter().chain(dropped.map(|entry| entry.path()).filter(is_conf)).collect()
}

fn drop_ins(conf: &Path) -> PathBuf {
    conf.with_extension("conf.d")
}
