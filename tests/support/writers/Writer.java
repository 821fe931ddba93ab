import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import ch.qos.logback.core.status.Status;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs numbered entries with logback, and writes each to a record of its own.
 *
 * Each line of standard input is a number: entries up to it may be logged. At the end of the input logback is stopped.
 */
public final class Writer {
    public static void main(String[] arguments) throws Exception {
        Path configuration = Path.of(arguments[0]);
        Path record = Path.of(arguments[1]);
        String name = arguments[2];
        long pause = Long.parseLong(arguments[3]) * 1000;
        LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
        context.reset();
        JoranConfigurator configurator = new JoranConfigurator();
        configurator.setContext(context);
        configurator.doConfigure(configuration.toFile());
        Logger logger = context.getLogger("activity");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        try (OutputStream written = Files.newOutputStream(record)) {
            long number = 0;
            for (String order; (order = orders.readLine()) != null; ) {
                for (long last = Long.parseLong(order); number < last; number++) {
                    String line = entry(name, number);
                    logger.info(line);
                    written.write((line + "\n").getBytes(StandardCharsets.UTF_8));
                    LockSupport.parkNanos(pause);
                }
            }
        }
        context.stop(); // waits for archives that are being compressed
        for (Status status : context.getStatusManager().getCopyOfStatusList()) {
            if (status.getLevel() >= Status.WARN) {
                System.err.println(status + (status.getThrowable() == null ? "" : " " + status.getThrowable()));
            }
            if (status.getLevel() >= Status.ERROR) {
                System.exit(1);
            }
        }
    }

    /** Spelt so that only its very bytes are equal to it. */
    private static String entry(String name, long number) {
        return "{\"eventDate\":\"2026-05-11 06:30:00.000\", \"by\":\"" + name + "\",\"n\":" + number
            + ",\"x\" : 1.0,\"s\":\"\\u00e9\u00e9\\/\",\"pad\":\"" + "x".repeat((int) (number % 97)) + "\"}";
    }
}
