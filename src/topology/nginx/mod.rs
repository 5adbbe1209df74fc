//! nginx: which binary, its configuration, and what its status page says. Running it is `proxy`'s task.

pub mod binary;
pub mod conf;
pub mod sizing;
pub mod status;
pub mod template;

mod cache;
