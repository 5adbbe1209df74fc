//! Reports: a [`Report`] value, and functions that turn it into something to look at.
//!
//! `schema` is the only place that shapes what a report says; printers add nothing to it.

pub mod schema;
pub mod text;

pub use schema::Report;
