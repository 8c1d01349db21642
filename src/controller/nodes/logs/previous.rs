//! The logs of the containers that ended last, in place of the current ones.

use futures::StreamExt;
use futures::stream::iter;

use super::merge::LogMerge;
use super::reader::READ_MAX;
use super::records::{RecordStream, notice, of_lines};
use crate::agent::{EngineError, LogLines, LogOptions, NodeRequests};
use crate::controller::error::ControllerError;
use crate::controller::nodes::NodeLinks;
use crate::controller::queries::{LogEntry, ReplicaSnapshot};
use crate::model::{ContainerId, LastExit, NodeId, ReplicaName};

/// A replica with its last container that ended.
struct PreviousContainer<'a> {
    replica: &'a ReplicaName,
    node: &'a NodeId,
    exit: &'a LastExit,
}

/// Records of the containers that ended last; a replica of which none ended, or whose is gone, is left out, unless that
/// leaves nothing.
///
/// # Errors
/// [`ControllerError::NoPrevious`], [`ControllerError::PreviousGone`], or the Engine's.
pub(super) async fn open(
    nodes: &NodeLinks,
    replicas: &[ReplicaSnapshot],
    options: &LogOptions,
) -> Result<RecordStream, ControllerError> {
    let ended: Vec<PreviousContainer<'_>> = replicas.iter().filter_map(of_replica).collect();
    if ended.is_empty() {
        let names = replicas.iter().map(|replica| replica.replica.name.clone()).collect();
        return Err(ControllerError::NoPrevious(names));
    }
    let mut merge = LogMerge::default();
    let mut notices: Vec<LogEntry> = Vec::new();
    let mut gone = Vec::new();
    for previous in &ended {
        let Some(node) = nodes.get(previous.node) else {
            let text = format!("not read: node {} is not connected", previous.node);
            notices.push(notice(previous.replica, None, text));
            continue;
        };
        if merge.len() >= READ_MAX {
            let text = format!("not read: {READ_MAX} logs are read already");
            notices.push(notice(previous.replica, None, text));
            continue;
        }
        match existing(node, &previous.exit.container, options).await {
            Ok(lines) => merge.push(of_lines(previous.replica, lines)),
            Err(error) if error.is_not_found() => {
                notices.push(notice(
                    previous.replica,
                    None,
                    "its previous container no longer exists".to_owned(),
                ));
                gone.push((previous.replica.clone(), previous.exit.clone()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if gone.len() == ended.len() {
        return Err(ControllerError::PreviousGone(gone));
    }
    Ok(iter(notices.into_iter().map(Ok)).chain(merge).boxed())
}

fn of_replica(replica: &ReplicaSnapshot) -> Option<PreviousContainer<'_>> {
    let exit = replica.status.as_ref()?.history.last_exit.as_ref()?;
    Some(PreviousContainer { replica: &replica.replica.name, node: &replica.replica.node, exit })
}

/// The log of a container; the Engine may say only with the first line that there is no such container.
async fn existing(
    node: &dyn NodeRequests,
    container: &ContainerId,
    options: &LogOptions,
) -> Result<LogLines, EngineError> {
    let mut lines = node.logs(container, options).await?;
    match lines.next().await {
        Some(Err(error)) if error.is_not_found() => Err(error),
        first => Ok(iter(first).chain(lines).boxed()),
    }
}
