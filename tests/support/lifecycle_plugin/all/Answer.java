package lifecycle;

import java.io.IOException;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.xcontent.XContentBuilder;

/** The body of the answer to a request; what it throws becomes the server's usual error answer. */
@FunctionalInterface
interface Answer {
    void write(RestRequest request, XContentBuilder body) throws IOException;
}
