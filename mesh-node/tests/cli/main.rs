//! The program `mesh` as scripts and other programs use it: exit codes, JSON, and the control
//! socket. Every test runs the real binary in homes of its own.

mod boards;
mod commands;
mod doctor;
mod errors;
mod files;
mod gone;
mod origins;
mod policy;
mod socket;
mod stage;
mod writers;
