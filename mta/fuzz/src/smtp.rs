//! Protocol parsing.

#[path = "../../src/smtp/command.rs"]
pub mod command;
#[path = "../../src/smtp/data.rs"]
pub mod data;
#[path = "../../src/smtp/reply.rs"]
pub mod reply;
