//! `completions` and `man`: what clap knows of the commands, for shells and for man.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::examples;
use crate::error::{Error, Result};
use crate::search_path::PROGRAM;

/// What a manual page ends with (man-pages(7)).
const AFTERWORD: &str = "\
.SH FILES
.TP
.I ~/.config/coffer/config.toml
What is configured. Nothing needs to be.
.TP
.I ~/.local/share/coffer
The store, its key where that is a file, tokens, and backups of files that were migrated.
.TP
.I ~/.docker/config.json
Where \\(dqcredsStore\\(dq: \\(dqcoffer\\(dq has Docker ask.
.SH ENVIRONMENT
.TP
.BR COFFER_CONFIG \", \" COFFER_DIR
Other places for the two above.
.TP
.B COFFER_IDENTITY_FILE
An age identity file that opens the store, before any other key.
.TP
.BR COFFER_NO_PROMPT \", \" CI
If set, nobody is asked to unlock anything.
.TP
.B PINENTRY_PROGRAM
Who asks for passphrases; if empty, the terminal.
.TP
.B COFFER_LOG=debug
Tells on standard error which way a request goes, without secrets.
.SH EXIT STATUS
0 if it is done; 1 if not, if there is no such credential, or if \\fBaudit\\fR or \\fBdoctor\\fR found something; 2 for a command
that is called in a wrong way.
.SH SEE ALSO
.BR docker (1),
.BR age (1),
.BR containers-auth.json (5)
";

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&[
    "completions bash \\\n      > ~/.local/share/bash-completion/completions/docker-credential-coffer",
    "completions zsh \\\n      > \"${fpath[1]}/_docker-credential-coffer\"",
    "completions fish \\\n      > ~/.config/fish/completions/docker-credential-coffer.fish",
]))]
pub struct Arguments {
    /// Which shell.
    shell: Shell,
}

/// Print the manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(&["man | man -l -"]))]
pub struct ManArguments {}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), PROGRAM, &mut text);
    write(out, &text)
}

/// One page for all: whoever types `man docker-credential-coffer` looks for a command of it.
pub(super) fn man(out: &mut dyn Write) -> Result<()> {
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = render(&mut text);
    write(out, &text)
}

fn render(text: &mut Vec<u8>) -> io::Result<()> {
    let mut whole = super::Arguments::command().version(env!("CARGO_PKG_VERSION"));
    whole.build();
    let page = Man::new(whole.clone());
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    render_commands(text, &whole, "")?;
    text.extend_from_slice(AFTERWORD.as_bytes());
    Ok(())
}

/// A section for each command of a command, and for theirs. `parents` is what stands before its name.
fn render_commands(text: &mut Vec<u8>, parent: &clap::Command, parents: &str) -> io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("{parents}{}", command.get_name());
        let page = Man::new(command.clone().bin_name(format!("{PROGRAM} {name}")));
        let mut section = Vec::new();
        page.render_synopsis_section(&mut section)?;
        page.render_description_section(&mut section)?;
        page.render_options_section(&mut section)?;
        if command.get_after_help().is_some() {
            page.render_extra_section(&mut section)?;
        }
        let section = String::from_utf8_lossy(&section).replace(".SH EXTRA", ".SS NOTES").replace(".SH ", ".SS ");
        text.extend_from_slice(format!(".SH {}\n{section}", name.to_uppercase()).as_bytes());
        render_commands(text, command, &format!("{name} "))?;
    }
    Ok(())
}

fn write(out: &mut dyn Write, text: &[u8]) -> Result<()> {
    out.write_all(text).map_err(Error::output)
}
