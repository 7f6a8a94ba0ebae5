//! Whole-process tests: the binary among the real programs that call it, are called by it, or that it replaces.
//!
//! Every test owns its world (`support::World`): an empty home, a clean environment, servers of its own on free
//! loopback ports. A program that is missing fails the test; `tests/run` installs them all.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod age_store;
mod attack_aws;
mod attack_clients;
mod attack_helpers;
mod attack_store;
mod aws_cli;
mod clients;
mod compliance;
mod dev_containers;
mod docker_plugin;
mod doctor;
mod ecr;
mod ecr_identity;
mod ecr_mfa;
mod ecr_tokens;
mod export;
mod faults;
mod faults_disk;
mod faults_ecr;
mod faults_keys;
mod faults_setup;
mod file_names;
mod hardening;
mod key_changes;
mod key_prompts;
mod keyring_store;
mod keys;
mod kubelet;
mod leaks;
mod leaks_aws;
mod leaks_clients;
mod leaks_keys;
mod leaks_writes;
mod load;
mod load_ecr;
mod locks;
mod messages_audit;
mod messages_commands;
mod messages_config;
mod messages_ecr;
mod messages_key_changes;
mod messages_keyring;
mod messages_keys;
mod messages_migrate;
mod messages_requests;
mod messages_setup;
mod messages_store;
mod migrate_bad_input;
mod migrate_clients;
mod migrate_conflicts;
mod migrate_disk;
mod migrate_files;
mod migrate_helpers;
mod migrate_kills;
mod migrate_leftovers;
mod migrate_owners;
mod migrate_peers;
mod migrate_races;
mod migrate_sizes;
mod migrate_undo;
mod names;
mod packaging;
mod protocol;
mod pulls;
mod routing;
mod setup;
mod support;
mod teams;
mod unlocking;
