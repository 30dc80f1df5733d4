//! Frames that the official driver and a server exchanged, as they were recorded: read, named,
//! taken apart, put together.

use mongodb::bson::{Document, doc};

use crate::support::mongo_proxy::wire::{Message, more_to_come, read_frame};

const INSERT: &[u8] = include_bytes!("../fixtures/mongo-frames/insert.bin");
const FIND: &[u8] = include_bytes!("../fixtures/mongo-frames/find.bin");
const GET_MORE: &[u8] = include_bytes!("../fixtures/mongo-frames/get-more.bin");
const DUPLICATE: &[u8] = include_bytes!("../fixtures/mongo-frames/duplicate.bin");

fn with_length(mut frame: Vec<u8>) -> Vec<u8> {
    let length = i32::try_from(frame.len()).unwrap();
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

fn as_documents(message: &Message) -> Vec<Document> {
    let documents = message.documents("documents");
    documents.iter().map(|d| Document::try_from(d).unwrap()).collect()
}

#[test]
fn a_command_is_known_by_its_name_and_collection() {
    for (frame, name) in [(INSERT, "insert"), (FIND, "find"), (GET_MORE, "getMore")] {
        let message = Message::parse(frame).unwrap();
        assert_eq!((message.name(), message.collection()), (name, "entries"));
        assert_eq!(message.response_to, 0);
        assert!(!more_to_come(frame));
    }
    let reply = Message::parse(DUPLICATE).unwrap();
    assert_ne!(reply.response_to, 0);
    let body = reply.document();
    let error = &body.get_array("writeErrors").unwrap()[0];
    assert_eq!(error.as_document().unwrap().get_i32("code").unwrap(), 11000);
}

#[test]
fn the_documents_of_an_insert_are_found_in_a_sequence_and_in_the_body() {
    let insert = Message::parse(INSERT).unwrap();
    let expected = [
        doc! {"_id": "h:a", "id": "a", "seq": 1_i64, "message": {"text": "hi"}},
        doc! {"_id": "h:b", "id": "b", "seq": 2_i64},
    ];
    assert_eq!(as_documents(&insert), expected);
    let mut body = insert.document();
    body.insert("documents", expected.to_vec());
    assert_eq!(as_documents(&Message::reply(1, &body)), expected);
    assert_eq!(as_documents(&Message::parse(FIND).unwrap()), []);
}

#[test]
fn a_message_put_together_is_the_recorded_one_byte_for_byte() {
    for frame in [INSERT, FIND, GET_MORE, DUPLICATE] {
        assert_eq!(Message::parse(frame).unwrap().encode(), frame);
    }
}

#[test]
fn a_checksum_is_passed_over() {
    let mut frame = INSERT.to_vec();
    frame[16] |= 1;
    frame.extend([1, 2, 3, 4]);
    let message = Message::parse(&with_length(frame)).unwrap();
    assert_eq!(as_documents(&message).len(), 2);
    assert_eq!(message.encode()[20..], INSERT[20..]);
}

#[test]
fn what_is_no_whole_message_is_not_taken_for_one() {
    for end in 16..INSERT.len() {
        let cut = with_length(INSERT[..end].to_vec());
        // What ends between the two sections is a whole insert, of nothing.
        let whole = Message::parse(&cut).is_some_and(|m| !m.sequences.is_empty());
        assert!(!whole, "{end} of {} bytes", INSERT.len());
    }
    // An OP_QUERY, which drivers may greet a server with.
    let mut greeting = INSERT.to_vec();
    greeting[12..16].copy_from_slice(&2004_i32.to_le_bytes());
    assert_eq!(Message::parse(&greeting), None);
}

#[tokio::test]
async fn frames_are_read_whole_however_they_arrive() {
    let (mut sender, mut receiver) = tokio::io::duplex(7);
    let sending = tokio::spawn(async move {
        for frame in [INSERT, FIND, &INSERT[..20]] {
            tokio::io::AsyncWriteExt::write_all(&mut sender, frame).await.unwrap();
        }
    });
    assert_eq!(read_frame(&mut receiver).await.unwrap().unwrap(), INSERT);
    assert_eq!(read_frame(&mut receiver).await.unwrap().unwrap(), FIND);
    // The connection ends within the third.
    read_frame(&mut receiver).await.unwrap_err();
    sending.await.unwrap();
    let none: &[u8] = &[];
    assert_eq!(read_frame(&mut { none }).await.unwrap(), None);
    let mut absurd = INSERT.to_vec();
    absurd[..4].copy_from_slice(&[255, 255, 255, 127]);
    read_frame(&mut absurd.as_slice()).await.unwrap_err();
}
