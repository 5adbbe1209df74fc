//! The Docker engine: what is asked of it, and nothing of what for.
//!
//! Containers are looked up by the label that the compose tool gives them, so that nothing outside a project is found,
//! let alone touched.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bollard::errors::Error as DockerError;
use bollard::models::{ContainerStatsResponse, EventMessage};
use bollard::query_parameters::{
    EventsOptions, InspectContainerOptions, KillContainerOptions, ListContainersOptions,
    ListNetworksOptions, ListVolumesOptions, LogsOptions, RemoveContainerOptions,
    RemoveVolumeOptions, StartContainerOptions, StatsOptions, StopContainerOptions, TopOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::{Stream, StreamExt, TryStreamExt};

use super::error::ComposeError;
use super::state::State;

const SOCKET: &str = "/var/run/docker.sock";
/// Seconds for one answer. Stopping and starting under load take a while.
const ANSWER: u64 = 60;
/// The label that holds the project's name.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// A container of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) image: String,
}

/// A process of a container, by its ids on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inmate {
    pub(super) pid: u32,
    pub(super) parent: u32,
}

/// A connection to the engine.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    docker: Docker,
    socket: PathBuf,
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the one in the usual place.
    pub(crate) async fn connect() -> Result<Self, ComposeError> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = match host.strip_prefix("unix://") {
            Some(path) => PathBuf::from(path),
            None if host.is_empty() => PathBuf::from(SOCKET),
            None => return Err(ComposeError::NotASocket { host }),
        };
        Self::at(&socket).await
    }

    /// The engine on a socket.
    pub(crate) async fn at(socket: &Path) -> Result<Self, ComposeError> {
        let no_engine = |source| ComposeError::NoEngine {
            socket: socket.to_owned(),
            source,
        };
        // Knocking first: the client's own error would not tell a missing engine from a missing permission.
        match tokio::net::UnixStream::connect(socket).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(ComposeError::NoPermission {
                    socket: socket.to_owned(),
                });
            }
            Err(error) => return Err(no_engine(error)),
        }
        let asked = "say which version it speaks";
        let path = socket.to_string_lossy();
        let docker = Docker::connect_with_socket(&path, ANSWER, API_DEFAULT_VERSION)
            .map_err(refused(asked))?
            .negotiate_version()
            .await
            .map_err(refused(asked))?;
        Ok(Self {
            docker,
            socket: socket.to_owned(),
        })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The containers of a project, running or not, in order of service and number.
    pub(super) async fn containers(&self, project: &str) -> Result<Vec<Container>, ComposeError> {
        let options = ListContainersOptions {
            all: true,
            filters: of_project(project),
            ..Default::default()
        };
        let found = self.docker.list_containers(Some(options)).await;
        let mut containers: Vec<(Container, String)> = found
            .map_err(refused("list containers"))?
            .into_iter()
            .filter_map(|summary| {
                let names = summary.names.unwrap_or_default().join(",");
                let container = Container {
                    id: summary.id?,
                    service: summary.labels?.remove(SERVICE)?,
                    image: summary.image.unwrap_or_default(),
                };
                Some((container, names))
            })
            .collect();
        containers
            .sort_by(|(a, a_name), (b, b_name)| (&a.service, a_name).cmp(&(&b.service, b_name)));
        Ok(containers
            .into_iter()
            .map(|(container, _)| container)
            .collect())
    }

    pub(super) async fn state(&self, id: &str) -> Result<State, ComposeError> {
        let inspected = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await;
        Ok(State::from(
            inspected.map_err(refused("inspect a container"))?,
        ))
    }

    /// Sends a signal, such as `KILL`, to the container's first process.
    pub(super) async fn signal(&self, id: &str, signal: &str) -> Result<(), ComposeError> {
        let options = KillContainerOptions {
            signal: signal.into(),
        };
        let sent = self.docker.kill_container(id, Some(options)).await;
        sent.map_err(refused(&format!("send SIG{signal}")))
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), ComposeError> {
        let started = self
            .docker
            .start_container(id, None::<StartContainerOptions>)
            .await;
        started.map_err(refused("start a container"))
    }

    pub(super) async fn pause(&self, id: &str) -> Result<(), ComposeError> {
        self.docker
            .pause_container(id)
            .await
            .map_err(refused("pause a container"))
    }

    pub(super) async fn unpause(&self, id: &str) -> Result<(), ComposeError> {
        self.docker
            .unpause_container(id)
            .await
            .map_err(refused("resume a container"))
    }

    /// The stop signal, and SIGKILL after `grace_s` seconds; returns when it has stopped.
    pub(super) async fn stop(&self, id: &str, grace_s: u32) -> Result<(), ComposeError> {
        let options = StopContainerOptions {
            t: i32::try_from(grace_s).ok(),
            ..Default::default()
        };
        let stopped = self.docker.stop_container(id, Some(options)).await;
        stopped.map_err(refused("stop a container"))
    }

    /// Removes a container, killing it, with its anonymous volumes. One that is gone is no error.
    pub(super) async fn remove(&self, id: &str) -> Result<(), ComposeError> {
        let options = RemoveContainerOptions {
            v: true,
            force: true,
            link: false,
        };
        gone(self.docker.remove_container(id, Some(options)).await)
            .map_err(refused("remove a container"))
    }

    /// Removes what a project has beside containers; returns how much. Networks still in use stay for another turn.
    pub(super) async fn remove_rest(&self, project: &str) -> Result<usize, ComposeError> {
        let networks = self
            .docker
            .list_networks(Some(ListNetworksOptions {
                filters: of_project(project),
            }))
            .await
            .map_err(refused("list networks"))?;
        let names: Vec<String> = networks
            .into_iter()
            .filter_map(|network| network.id)
            .collect();
        for id in &names {
            gone(self.docker.remove_network(id).await).map_err(refused("remove a network"))?;
        }
        let volumes = self
            .docker
            .list_volumes(Some(ListVolumesOptions {
                filters: of_project(project),
            }))
            .await
            .map_err(refused("list volumes"))?;
        let volumes = volumes.volumes.unwrap_or_default();
        for volume in &volumes {
            gone(
                self.docker
                    .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
                    .await,
            )
            .map_err(refused("remove a volume"))?;
        }
        Ok(names.len() + volumes.len())
    }

    /// What a container has said, `tail` lines of it or `all`.
    pub(super) async fn logs(&self, id: &str, tail: &str) -> Result<Vec<u8>, ComposeError> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: tail.into(),
            ..Default::default()
        };
        self.docker
            .logs(id, Some(options))
            .try_fold(Vec::new(), |mut text, part| async move {
                text.extend_from_slice(&part.into_bytes());
                Ok(text)
            })
            .await
            .map_err(refused("give a log"))
    }

    /// Last lines of what a container has said; empty when there are none to be had.
    pub(super) async fn last_words(&self, id: &str) -> String {
        let log = self.logs(id, "8").await.unwrap_or_default();
        String::from_utf8_lossy(&log).trim_end().to_owned()
    }

    /// The processes of a container, as the host numbers them.
    pub(super) async fn inmates(&self, id: &str) -> Result<Vec<Inmate>, ComposeError> {
        let options = TopOptions {
            ps_args: "-eo pid,ppid".into(),
        };
        let top = self.docker.top_processes(id, Some(options)).await;
        let rows = top.map_err(refused("list processes"))?.processes;
        Ok(rows
            .unwrap_or_default()
            .iter()
            .filter_map(|row| {
                Some(Inmate {
                    pid: row.first()?.parse().ok()?,
                    parent: row.get(1)?.parse().ok()?,
                })
            })
            .collect())
    }

    /// What a container uses now; `None` when it does not run.
    pub(super) async fn usage(&self, id: &str) -> Option<ContainerStatsResponse> {
        let options = StatsOptions {
            stream: false,
            one_shot: true,
        };
        self.docker.stats(id, Some(options)).next().await?.ok()
    }

    /// The ends of containers of a project, from now on.
    pub(super) fn deaths(
        &self,
        project: &str,
    ) -> impl Stream<Item = Result<EventMessage, DockerError>> + use<> {
        let mut filters = of_project(project).unwrap_or_default();
        filters.insert("type".into(), vec!["container".into()]);
        filters.insert("event".into(), vec!["die".into()]);
        self.docker.events(Some(EventsOptions {
            filters: Some(filters),
            ..Default::default()
        }))
    }
}

/// The service of a container event, and its exit code.
pub(super) fn death(event: EventMessage) -> Option<(String, String, String)> {
    let actor = event.actor?;
    let mut attributes = actor.attributes?;
    let code = attributes.remove("exitCode").unwrap_or_default();
    Some((attributes.remove(SERVICE)?, actor.id?, code))
}

fn of_project(project: &str) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([(
        "label".into(),
        vec![format!("{PROJECT}={project}")],
    )]))
}

fn refused(asked: &str) -> impl Fn(DockerError) -> ComposeError + use<> {
    let asked = asked.to_owned();
    move |source| ComposeError::Engine {
        asked: asked.clone(),
        source: Box::new(source),
    }
}

/// What is not there, or being removed by somebody else at this moment, need not be removed.
fn gone(removed: Result<(), DockerError>) -> Result<(), DockerError> {
    match removed {
        Err(DockerError::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => Ok(()),
        // A network still has an endpoint of a container that is just going; there is another turn.
        Err(DockerError::DockerResponseServerError {
            status_code: 403, ..
        }) => Ok(()),
        other => other,
    }
}
