/* JpmmlRows.java -- JPMML on the wine files of our own benchmark, row by row in one thread; JSON lines like ours.
 *
 *   java -cp 'JARS/*' bench/peers/JpmmlRows.java DATA/wine
 *
 * The rows are maps made beforehand, so that only evaluation is timed; the best of many passes after warming up. */
import java.io.File;
import java.nio.file.*;
import java.util.*;
import org.jpmml.evaluator.*;

public class JpmmlRows {
    static final String[] INPUTS = {"fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides",
        "free sulfur dioxide", "total sulfur dioxide", "density", "pH", "sulphates", "alcohol"};

    static List<Map<String, Object>> read(String path) throws Exception {
        List<Map<String, Object>> rows = new ArrayList<>();
        for (String line : Files.readAllLines(Paths.get(path))) {
            String[] cells = line.split(";");
            Map<String, Object> row = new LinkedHashMap<>();
            for (int i = 0; i < INPUTS.length; i++)
                row.put(INPUTS[i], Double.valueOf(cells[i]));
            rows.add(row);
        }
        return rows;
    }

    static void measure(String name, String file, List<Map<String, Object>> rows) throws Exception {
        long before = System.nanoTime();
        Evaluator evaluator = new LoadingModelEvaluatorBuilder().load(new File(file)).build();
        long load = System.nanoTime() - before, best = Long.MAX_VALUE, end = System.nanoTime() + 3_000_000_000L;
        int kept = 0;
        while (System.nanoTime() < end) {
            long start = System.nanoTime();
            for (Map<String, Object> row : rows)
                kept += evaluator.evaluate(row).size();
            best = Math.min(best, System.nanoTime() - start);
        }
        System.out.printf(Locale.ROOT, "{\"name\": \"families.pmml.%s.one_row.jpmml\", \"value\": %.6g, \"unit\": \"ns\"}%n", name,
            (double) best / rows.size());
        System.out.printf(Locale.ROOT, "{\"name\": \"families.pmml.%s.load.jpmml\", \"value\": %.6g, \"unit\": \"us\"}%n", name,
            load / 1e3);
        if (kept == 0)
            throw new IllegalStateException("nothing was evaluated");
    }

    public static void main(String[] arguments) throws Exception {
        String models = arguments[0] + "/models/winequality";
        List<Map<String, Object>> rows = read(arguments[0] + "/winequality_red.original.csv");
        measure("linear", models + "LinearRegression.pmml", rows);
        measure("glm", models + "GeneralizedLinearRegressionGaussian.pmml", rows);
        measure("tree", models + "DecisionTreeClassification.pmml", rows);
        measure("forest", models + "RandonForrestClassification.pmml", rows);
        measure("network", models + "MultilayerPerceptron.pmml", rows);
    }
}
