package lifecycle;

import java.util.List;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.ItemUsage;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicyUsageCalculator;

/** Elasticsearch 8 knows no projects: the cluster is what is one from 9 on. */
final class Project {
    private Project() {}

    static Iterable<IndexMetadata> of(ClusterState state) {
        return state.metadata();
    }

    static ItemUsage usage(IndexNameExpressionResolver resolver, ClusterState state, String policy) {
        var calculator = new LifecyclePolicyUsageCalculator(resolver, state, List.of(policy));
        return calculator.retrieveCalculatedUsage(policy);
    }
}
