// A server for tests that speaks MongoDB's wire protocol: mongo-java-server with what the official
// drivers need beside it. Arguments: a port, and "memory" or the path of a file. Prints "READY PORT".
//
// It proves logic (numbers, races, errors, resuming). It proves nothing about MongoDB's speed, its
// replication, sessions, transactions or read concerns, which it accepts and ignores.

import de.bwaldvogel.mongo.*;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import org.h2.mvstore.MVStore;

public class Launcher {
  // The server itself says wire version 8, and today's drivers want 9 or more.
  record Version(List<Integer> getVersionArray, int getWireVersion) implements MongoVersion {}

  public static void main(String[] arguments) throws Exception {
    boolean memory = arguments[1].equals("memory");
    MVStore file =
        memory ? null : new MVStore.Builder().fileName(arguments[1]).autoCommitDisabled().open();
    MongoBackend backend = memory ? new MemoryBackend() : new H2Backend(file);
    backend.version(new Version(List.of(5, 0, 0), 13));
    MongoBackend front =
        (MongoBackend)
            Proxy.newProxyInstance(
                Launcher.class.getClassLoader(),
                new Class<?>[] {MongoBackend.class},
                (self, method, values) -> call(backend, file, method, values));
    MongoServer server = new MongoServer(front);
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    System.out.println("READY " + server.getLocalAddress().getPort());
    // Standard input ends when the test that started this is gone, however it went.
    while (System.in.read() >= 0) {}
    Runtime.getRuntime().halt(0);
  }

  static Object call(MongoBackend backend, MVStore file, Method method, Object[] values)
      throws Throwable {
    try {
      if (!method.getName().equals("handleMessage")) {
        return method.invoke(backend, values);
      }
      MongoMessage message = (MongoMessage) values[0];
      if (message.getDocument().containsKey("hello")) {
        return hello(backend, message);
      }
      // One command at a time: replies share live documents, and racing find-and-modify commands
      // returned duplicates.
      synchronized (backend) {
        try {
          return ((Document) method.invoke(backend, values)).cloneDeeply();
        } finally {
          // What is acknowledged is in the file. Without it, a kill lost acknowledged inserts.
          if (file != null) {
            file.commit();
          }
        }
      }
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof MongoServerError) {
        throw e.getCause();
      }
      return withCode(e.getCause());
    }
  }

  static Document hello(MongoBackend backend, MongoMessage message) {
    Document reply =
        backend.handleCommand(
            message.getChannel(), message.getDatabaseName(), "ismaster", message.getDocument());
    return reply.append("isWritablePrimary", true).append("helloOk", true);
  }

  // Some errors carry no code, and drivers cannot read such a reply.
  static Document withCode(Throwable error) {
    String text = String.valueOf(error.getMessage());
    boolean noNamespace = text.startsWith("ns not found");
    return new Document("ok", 0.0)
        .append("errmsg", text)
        .append("code", noNamespace ? 26 : 8)
        .append("codeName", noNamespace ? "NamespaceNotFound" : "UnknownError");
  }
}
