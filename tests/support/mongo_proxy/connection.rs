//! One connection of a driver, with its own to the server: command by command, as faults have it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::rules::{Fault, Gate, Rules};
use super::split::{Merged, split};
use super::wire::{Message, more_to_come, read_frame};

/// Serves a driver's connection until one of the three ends it.
pub(super) async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    rules: &Rules,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    while let Some(frame) = read_frame(&mut client).await? {
        let command = Message::parse(&frame);
        let fault = command.as_ref().and_then(|command| rules.arrived(command));
        let (Some(command), Some(fault)) = (command, fault) else {
            pass_on(&frame, &mut client, &mut server).await?;
            continue;
        };
        if let Fault::Late(gate) = fault {
            // On a task of its own, which outlives the driver's connection.
            tokio::spawn(execute_late(frame, server, gate));
            return Ok(());
        }
        if !suffer(fault, &command, &frame, &mut client, &mut server).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Passes a frame on to the server, and back all that the server answers.
async fn pass_on(frame: &[u8], client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    server.write_all(frame).await?;
    if more_to_come(frame) {
        return Ok(());
    }
    loop {
        let reply = reply_of(server).await?;
        client.write_all(&reply).await?;
        if !more_to_come(&reply) {
            return Ok(());
        }
    }
}

/// Does the fault. Says whether the connection goes on.
async fn suffer(
    fault: Fault,
    command: &Message,
    frame: &[u8],
    client: &mut TcpStream,
    server: &mut TcpStream,
) -> io::Result<bool> {
    match fault {
        Fault::DropBefore => return Ok(false),
        Fault::DropAfter => {
            execute(frame, server).await?;
            return Ok(false);
        }
        Fault::Late(_) => unreachable!("it needs the connection for itself"),
        Fault::DelayBefore(time) => {
            tokio::time::sleep(time).await;
            pass_on(frame, client, server).await?;
        }
        Fault::HoldBefore(gate) => {
            gate.pass().await;
            pass_on(frame, client, server).await?;
            gate.done();
        }
        Fault::HoldAfter(gate) => {
            let reply = execute(frame, server).await?;
            gate.pass().await;
            client.write_all(&reply).await?;
            gate.done();
        }
        Fault::Answer(document) => {
            client.write_all(&Message::reply(command.request_id, &document).encode()).await?;
        }
        Fault::AddToReply(fields) => {
            let reply = execute(frame, server).await?;
            let mut reply = parsed(&reply)?.document();
            reply.extend(fields);
            client.write_all(&Message::reply(command.request_id, &reply).encode()).await?;
        }
        Fault::Split(pause) => {
            insert_in_parts(command, client, server, Between::Pause(pause)).await?;
        }
        Fault::SplitAt(after, gate) => {
            insert_in_parts(command, client, server, Between::Gate(after, gate)).await?;
        }
        Fault::Cut(after) => {
            let mut merged = Merged::new(command);
            for part in split(command).iter().take(after) {
                if !merged.add(&parsed(&execute(&part.encode(), server).await?)?) {
                    break;
                }
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// What happens between the documents of an insert.
enum Between {
    Pause(Duration),
    Gate(usize, Gate),
}

async fn insert_in_parts(
    command: &Message,
    client: &mut TcpStream,
    server: &mut TcpStream,
    between: Between,
) -> io::Result<()> {
    let mut merged = Merged::new(command);
    for (n, part) in split(command).iter().enumerate() {
        match &between {
            Between::Pause(pause) if n > 0 => tokio::time::sleep(*pause).await,
            Between::Gate(after, gate) if n == *after => gate.pass().await,
            _ => {}
        }
        let reply = parsed(&execute(&part.encode(), server).await?)?;
        if !merged.add(&reply) {
            break;
        }
    }
    let reply = Message::reply(command.request_id, &merged.finish());
    client.write_all(&reply.encode()).await?;
    if let Between::Gate(_, gate) = between {
        gate.done();
    }
    Ok(())
}

/// Executes a command whose driver is gone.
async fn execute_late(frame: Vec<u8>, mut server: TcpStream, gate: Gate) {
    gate.pass().await;
    // Without a server it is never executed, which is another thing that happens to such commands.
    let _ = execute(&frame, &mut server).await;
    gate.done();
}

/// Sends a command to the server and takes its reply.
async fn execute(frame: &[u8], server: &mut TcpStream) -> io::Result<Vec<u8>> {
    server.write_all(frame).await?;
    reply_of(server).await
}

async fn reply_of(server: &mut TcpStream) -> io::Result<Vec<u8>> {
    read_frame(server).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn parsed(frame: &[u8]) -> io::Result<Message> {
    Message::parse(frame).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
