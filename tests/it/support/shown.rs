//! What a user sees of a call: every line, whole, with the paths of its world made the same in every run.

use super::{Outcome, World};

impl World {
    /// A text in which `~` stands for the home directory, and `/world` for the directory around it.
    pub fn shown(&self, text: &str) -> String {
        let root = self.path("");
        let root = root.to_str().unwrap().trim_end_matches('/');
        text.replace(self.home().to_str().unwrap(), "~").replace(root, "/world")
    }

    /// That a client is refused with a message, and its user sees that and a hint, and no more. Some messages say it all: their
    /// hint is empty.
    #[track_caller]
    pub fn client_sees(&self, outcome: Outcome, message: &str, hint: &str) {
        let seen = (outcome.code, self.shown(&outcome.stdout), self.shown(&outcome.stderr));
        let expected = (Some(1), format!("{message}\n"), lines(message, hint));
        assert_eq!(seen, expected);
    }

    /// That a command of a person fails with a message and a hint, and says no more.
    #[track_caller]
    pub fn person_sees(&self, outcome: Outcome, message: &str, hint: &str) {
        let seen = (outcome.code, self.shown(&outcome.stdout), self.shown(&outcome.stderr));
        let expected = (Some(1), String::new(), lines(message, hint));
        assert_eq!(seen, expected);
    }

    /// That a call succeeds, and says this on standard error alone.
    #[track_caller]
    pub fn is_told(&self, outcome: Outcome, told: &str) {
        let seen = (outcome.code, self.shown(&outcome.stderr));
        let expected = (Some(0), format!("{told}\n"));
        assert_eq!(seen, expected);
    }
}

fn lines(message: &str, hint: &str) -> String {
    if hint.is_empty() { format!("{message}\n") } else { format!("{message}\nhint: {hint}\n") }
}
