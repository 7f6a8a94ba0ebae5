//! Coffer, a Docker credential helper: keeps registry logins encrypted, and mints tokens for Amazon ECR.
//!
//! The library is what the program is made of; `docs/architecture.md` is its map. Readers and writers are passed in;
//! only [`process`], [`trace`], and the commands where they talk with a person, touch standard streams.

pub mod auth_files;
pub mod backup;
pub mod commands;
pub mod credential;
pub mod deadline;
pub mod ecr;
pub mod ecr_host;
pub mod error;
pub mod file_name;
pub mod files;
pub mod foreign_file;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod helper;
pub mod key;
pub mod migration;
pub mod os_keyring;
pub mod process;
pub mod protocol;
pub mod routes;
pub mod rule;
pub mod search_path;
pub mod server;
pub mod settings;
pub mod store;
pub mod trace;
