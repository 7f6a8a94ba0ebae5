//! Keys of every kind, and who is asked about them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{World, chmod};

/// A pinentry that answers what a file says, a line a question, and writes down what it was told.
pub struct Pinentry {
    answers: PathBuf,
    told: PathBuf,
}

impl Pinentry {
    /// The `pinentry` on the PATH of this world. The answer `-` is a click on Cancel; with none left, it waits for ever.
    pub fn install(world: &World, answers: &[&str]) -> Self {
        let this = Self { answers: world.path("run/answers"), told: world.path("run/told") };
        world.script(
            "pinentry",
            "cd \"$XDG_RUNTIME_DIR\"; echo OK ready
            while read -r line; do
                echo \"$line\" >> told
                case $line in
                GETPIN)
                    answer=$(head -n 1 answers); sed -i 1d answers
                    case $answer in
                    -) echo ERR 83886179 Operation cancelled ;;
                    '') exec sleep 600 ;;
                    *) echo \"D $answer\"; echo OK ;;
                    esac ;;
                BYE) echo OK; exit ;;
                OPTION*) echo ERR 174 unknown option ;;
                *) echo OK ;;
                esac
            done",
        );
        this.answer(answers);
        this
    }

    /// What it answers from now on.
    pub fn answer(&self, answers: &[&str]) {
        fs::write(&self.answers, answers.iter().map(|answer| format!("{answer}\n")).collect::<String>()).unwrap();
        let _ = fs::remove_file(&self.told);
    }

    /// What it was told since, a line each.
    pub fn told(&self) -> Vec<String> {
        fs::read_to_string(&self.told).unwrap_or_default().lines().map(Into::into).collect()
    }

    /// How often it was asked since.
    pub fn asked(&self) -> usize {
        self.told().iter().filter(|line| *line == "GETPIN").count()
    }
}

/// The `token` plugin on the PATH of this world: an identity file that it made.
pub fn token(world: &World, name: &str) -> PathBuf {
    let plugin = world.path("bin/age-plugin-token");
    fs::write(&plugin, include_str!("plugin.py")).unwrap();
    chmod(&plugin, 0o755);
    let identity = world.call(plugin, &["--generate", name]).run().ok();
    world.write(&format!("{name}.txt"), &identity)
}

/// A key of age-keygen, and its recipient.
pub fn keygen(world: &World, name: &str) -> (PathBuf, String) {
    let path = world.home().join(name);
    world.call("age-keygen", &["-o", path.to_str().unwrap()]).run().ok();
    (path.clone(), world.call("age-keygen", &["-y", path.to_str().unwrap()]).run().ok().trim().to_owned())
}

/// Whether the `age` program opens a file with an identity file.
pub fn opens(world: &World, identities: &Path, file: &Path) -> bool {
    let call = ["-d", "-i", identities.to_str().unwrap(), file.to_str().unwrap()];
    world.call("age", &call).run().code == Some(0)
}

/// A post-quantum recipient, to which nobody has the key. Needs the `token` plugin.
pub fn post_quantum(world: &World) -> String {
    // ML-KEM's zeros, and the generator of P-256: of what is checked, that it is a point of the curve.
    let point = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                 4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let bytes = "00".repeat(1184) + point;
    world.call("age-plugin-token", &["--recipient", "age1tagpq", &bytes]).run().ok().trim().to_owned()
}
