//! What the harness itself costs, each figure with its unit and, where there is something to compare with, its ratio to
//! a bare loop measured in the same run. `cargo bench` runs all; `cargo bench -- memory` those whose name has the word.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

mod bare;
mod connect;
mod memory;
mod messages;
mod node;
mod recorder;
mod storm;
mod support;

fn main() {
    let filter: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| filter.is_empty() || filter.iter().any(|word| name.contains(word.as_str()));
    wssoak::topology::limits::raise_open_files().unwrap();
    if std::env::var_os("WSSOAK_BENCH_BARE").is_some() {
        return memory::bare_only();
    }
    let benches: [(&str, fn()); 5] = [
        ("memory per idle client", memory::run),
        ("connects", connect::run),
        ("messages", messages::run),
        ("recorder", recorder::run),
        ("storm", storm::run),
    ];
    for (name, run) in benches {
        if wanted(name) {
            println!("{name}");
            run();
        }
    }
}
