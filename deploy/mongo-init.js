// Makes a replica set of the three members of compose.yaml, unless there is one, and waits until it
// has a primary. For mongosh, on any of the members.

const members = ["mongo-1:27017", "mongo-2:27017", "mongo-3:27017"];

try {
  rs.initiate({ _id: "rs0", members: members.map((host, _id) => ({ _id, host })) });
} catch (error) {
  if (error.codeName !== "AlreadyInitialized") throw error;
}
while (!db.hello().primary) sleep(200);
