//! Files that clients write, and what is in them. None knows another.

pub mod docker;
