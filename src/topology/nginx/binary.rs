//! Which nginx to run: the one named, else the embedded one, else the one on PATH.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::topology::TopologyError;

#[cfg(feature = "bundled-nginx")]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/nginx/nginx")));
#[cfg(not(feature = "bundled-nginx"))]
const EMBEDDED: Option<&[u8]> = None;

/// Where an nginx comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named by `--nginx` or the scenario.
    Named,
    /// Embedded in this executable.
    Embedded,
    /// Found on PATH.
    Path,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Named => "named",
            Self::Embedded => "bundled",
            Self::Path => "from PATH",
        })
    }
}

/// An nginx that has told its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NginxBinary {
    /// The executable.
    pub path: PathBuf,
    /// As `nginx -v` prints it, without the name: `1.28.3`.
    pub version: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl NginxBinary {
    /// Finds the binary, unpacking the embedded one if that is the choice, and asks it for its version.
    ///
    /// # Errors
    /// None is to be found, the embedded one cannot be unpacked, or what was found is not nginx.
    pub fn find(named: Option<&Path>) -> Result<Self, TopologyError> {
        if let Some(path) = named {
            return Self::ask(path.to_owned(), Origin::Named);
        }
        if let Some(content) = EMBEDDED {
            return Self::unpacked(content);
        }
        let path = std::env::var_os("PATH").and_then(|path| on_path(&path, "nginx"));
        Self::ask(path.ok_or(TopologyError::NoNginx)?, Origin::Path)
    }

    fn unpacked(content: &[u8]) -> Result<Self, TopologyError> {
        let first = super::cache::folder();
        let unpack = |folder: &Path| {
            super::cache::unpack(content, folder).map_err(|e| {
                TopologyError::io(
                    format!("unpacking the bundled nginx to {}", folder.display()),
                    e,
                )
            })
        };
        unpack(&first)
            .and_then(|path| Self::ask(path, Origin::Embedded))
            .or_else(|error| {
                // Read-only and `noexec` homes exist; the temporary folder may do better.
                tracing::info!("{error}; trying the temporary folder");
                let path = unpack(&super::cache::fallback())?;
                Self::ask(path, Origin::Embedded)
            })
    }

    fn ask(path: PathBuf, origin: Origin) -> Result<Self, TopologyError> {
        let output = Command::new(&path).arg("-v").stdin(Stdio::null()).output();
        match output {
            Ok(output) => {
                let mut words = output.stderr;
                words.extend(output.stdout);
                match version_in(&String::from_utf8_lossy(&words)) {
                    Some(version) => Ok(Self {
                        path,
                        version,
                        origin,
                    }),
                    None => Err(TopologyError::NotNginx { path, source: None }),
                }
            }
            Err(source) => Err(TopologyError::NotNginx {
                path,
                source: Some(source),
            }),
        }
    }
}

fn version_in(words: &str) -> Option<String> {
    let rest = words.split_once("nginx version: ")?.1;
    let version = rest.split_whitespace().next()?;
    // Forks call themselves "openresty/1.25.3.1" and the like, which is worth showing.
    Some(version.strip_prefix("nginx/").unwrap_or(version).to_owned())
}

fn on_path(path: &OsStr, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_read() {
        for (words, want) in [
            ("nginx version: nginx/1.28.3\n", Some("1.28.3")),
            ("nginx version: nginx/1.22.1 (Debian)", Some("1.22.1")),
            (
                "nginx version: openresty/1.25.3.1",
                Some("openresty/1.25.3.1"),
            ),
            ("hello", None),
            ("nginx version: ", None),
        ] {
            assert_eq!(version_in(words).as_deref(), want, "{words}");
        }
    }

    #[test]
    fn another_program_is_refused_by_name() {
        let error = NginxBinary::find(Some(Path::new("/bin/true"))).unwrap_err();
        assert!(error.to_string().contains("/bin/true"), "{error}");
        assert!(NginxBinary::find(Some(Path::new("/no/such/nginx"))).is_err());
    }

    #[cfg(feature = "bundled-nginx")]
    #[test]
    fn the_embedded_nginx_tells_its_version() {
        let nginx = NginxBinary::find(None).unwrap();
        assert_eq!(nginx.origin, Origin::Embedded);
        assert!(nginx.version.starts_with("1.28."), "{}", nginx.version);
    }

    proptest! {
        #[test]
        fn any_words_are_read_without_panic(words in "(nginx version: )?.{0,40}") {
            let _ = version_in(&words);
        }
    }
}
