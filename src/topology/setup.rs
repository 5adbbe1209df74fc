//! From a spec to nginx's configuration file: where the logs go, how big nginx is, ours or the user's template.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::bundled::BundledSpec;
use super::error::TopologyError;
use super::limits;
use super::nginx::conf::{self, ConfInput};
use super::nginx::sizing::Sizing;
use super::nginx::template;
use crate::scenario::Nginx;

/// Can nginx be told this path? It takes `$` for a variable and has no way to escape it.
pub(super) fn nameable(results: &Path) -> Result<(), TopologyError> {
    if results
        .to_str()
        .is_none_or(|path| path.contains(['$', '\n']))
    {
        let doing = format!("naming {} in nginx's configuration", results.display());
        let why = "nginx has no way to write `$`, a line break or bytes that are not UTF-8; choose another --out";
        return Err(TopologyError::io(
            doing,
            io::Error::new(io::ErrorKind::InvalidInput, why),
        ));
    }
    Ok(())
}

pub(super) fn access_log(spec: &BundledSpec) -> PathBuf {
    spec.results.join("logs/nginx-access.log")
}

/// How big nginx is with these settings, for the run's clients on this machine.
pub(super) fn sizing(spec: &BundledSpec, nginx: &Nginx) -> Sizing {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    Sizing::new(
        nginx,
        spec.most_clients,
        limits::open_files_limit(),
        u32::try_from(processors).unwrap_or(u32::MAX),
    )
}

/// `listens` is where clients connect, and where the status page is.
pub(super) fn conf_input(
    spec: &BundledSpec,
    nginx: &Nginx,
    scratch: &Path,
    listens: [SocketAddr; 2],
    nodes: &[SocketAddr],
) -> ConfInput {
    let [listen, status_listen] = listens;
    ConfInput {
        nginx: nginx.clone(),
        sizing: sizing(spec, nginx),
        listen,
        status_listen,
        nodes: nodes.to_vec(),
        access_log: access_log(spec),
        error_log: spec.results.join("logs/nginx-error.log"),
        scratch: scratch.to_owned(),
        as_root: rustix::process::geteuid().is_root(),
    }
}

/// Our configuration, or the user's template filled in.
pub(super) fn rendered(spec: &BundledSpec, input: &ConfInput) -> Result<String, TopologyError> {
    let Some(path) = &spec.topology.nginx.template else {
        return Ok(conf::render(input));
    };
    let doing = || format!("reading the nginx template {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| TopologyError::io(doing(), e))?;
    let whole = std::fs::canonicalize(path).map_err(|e| TopologyError::io(doing(), e))?;
    let folder = whole.parent().unwrap_or(Path::new("/"));
    template::fill(&text, folder, input).map_err(|source| TopologyError::Template {
        path: path.clone(),
        source,
    })
}

/// Writes a file that is either whole or as it was.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), TopologyError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|e| TopologyError::io(format!("writing {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_nginx_cannot_be_told_is_refused() {
        assert!(nameable(Path::new("/tmp/a b;\"c\"")).is_ok());
        for bad in ["/tmp/$HOME", "/tmp/a\nb"] {
            assert!(nameable(Path::new(bad)).is_err(), "{bad:?}");
        }
    }
}
