; Has Elle judge histories, by hand and on a JVM: those that its own tests use, those in files, and simulated
; ones. Prints one EDN map a line, which convert.py turns into histories of assent-fault check. README.md says
; how it is run.
;
; Every history is judged in the same way: strict serializability, and for registers "writes follow reads",
; which are the two things that assent-fault check assumes too.
(ns verdicts
  (:require [clojure [edn :as edn]
                     [string :as str]
                     [test :as test]]
            [clojure.java.io :as io]
            [elle [list-append :as list-append]
                  [rw-register :as rw-register]]
            [jepsen.history :as history])
  (:import (java.io PushbackReader)))

(defn blank
  "A micro-operation before its answer."
  [[f k v]]
  (if (= :r f) [f k nil] [f k v]))

(defn shape [op] (mapv blank (:value op)))

(defn transactions
  "Pairs of operations become transactions with the places of both in the history. An answer without a request,
  as in many tests, has been sent before everything else."
  [ops]
  (loop [[op & more] ops, place 0, open [], done []]
    (if (nil? op)
      (concat done (map #(assoc % :type :info) open))
      (if (= :invoke (:type op))
        (recur more (inc place)
               (conj open {:sent place :process (:process op) :value (:value op)})
               done)
        (let [mine (first (filter #(and (= (:process op) (:process %)) (= (shape op) (shape %)))
                                  open))]
          (recur more (inc place)
                 (vec (remove #(identical? mine %) open))
                 (conj done (merge {:sent -1} mine
                                   {:answered place}
                                   (select-keys op [:type :value :rank])))))))))

(defn well-formed
  "The history with a process of its own for each transaction. Order in time includes the order of a process."
  [ops]
  (->> (transactions ops)
       (map-indexed (fn [process {:keys [sent answered type value rank]}]
                      (let [op {:process process :f :txn}]
                        [[sent (assoc op :type :invoke :value (mapv blank value))]
                         (when answered
                           [answered (cond-> (assoc op :type type :value (vec value))
                                       rank (assoc :rank rank))])])))
       (apply concat)
       (remove nil?)
       (sort-by first)
       (mapv second)))

(defn register?
  "Whether the keys of the history are registers, not lists."
  [ops]
  (boolean (some (fn [op] (some (fn [[f _ v]] (or (= :w f) (and (= :r f) (integer? v))))
                                (:value op)))
                 ops)))

(defn found-alone
  "What can be said of single transactions where Elle refuses the whole history."
  [ops]
  (let [h (history/history ops)
        [a b i] (if (register? ops)
                  [(rw-register/g1a-cases h) (rw-register/g1b-cases h)
                   {:internal (rw-register/internal-cases h)}]
                  [(list-append/g1a-cases h) (list-append/g1b-cases h)
                   (list-append/internal-cases h)])]
    (vec (sort (keep (fn [[k v]] (when (seq v) k)) (merge {:G1a a :G1b b} i))))))

(defn ranked
  "The order of the transactions where the test gives one, as Elle wants it."
  [ops]
  (into {} (keep-indexed (fn [place op] (when (:rank op) [place (:rank op)])) ops)))

(defn judge [ops]
  (let [order (ranked ops)
        ops   (map #(dissoc % :rank) ops)]
    (try
      (let [options {:consistency-models [:strict-serializable]}
            found   (if (register? ops)
                      (rw-register/check (merge options {:wfr-keys? true}
                                                (when (seq order) {:transaction-order order}))
                                         (history/history ops))
                      (list-append/check options (history/history ops)))]
        {:elle (vec (sort (:anomaly-types found)))})
      (catch Throwable problem
        {:elle    (found-alone ops)
         :refused (str (:type (ex-data problem) (.getMessage problem)))}))))

(defn tell [source number ops]
  (let [ops (well-formed ops)]
    (prn (merge {:source source :number number :history ops} (judge ops)))))

(def caught (atom []))

(defn catching
  "In place of a function that takes a history: keeps the history under the name of the test."
  [file arguments]
  (let [ops     (remove #(not (integer? (:process % 0))) (last arguments))
        order   (when (map? (first arguments)) (:transaction-order (first arguments)))
        place   (str/join ": " (cons (name (:name (meta (last test/*testing-vars*))))
                                     (reverse test/*testing-contexts*)))]
    (when (seq ops)
      (swap! caught conj {:source (str file " " place)
                          :ops    (vec (map-indexed
                                         (fn [place op]
                                           (cond-> (select-keys op [:process :type :value])
                                             (get order place) (assoc :rank (get order place))))
                                         ops))}))
    {}))

(defn from-tests []
  (doseq [n '[elle.list-append-test elle.rw-register-test]]
    (require n)
    (doseq [[_ v] (ns-interns n) :when (some (meta v) [:perf :interactive :overflow])]
      (alter-meta! v dissoc :test)))
  (let [quiet (java.io.StringWriter.)
        files {'list-append "test/elle/list_append_test.clj"
               'rw-register "test/elle/rw_register_test.clj"}]
    (with-redefs-fn
      (into {} (for [[n file] files
                     f        '[check g1a-cases g1b-cases internal-cases graph]
                     :let     [v (ns-resolve (symbol (str "elle." n)) f)]]
                 [v (fn [& arguments] (catching file arguments))]))
      #(binding [*out* quiet test/*test-out* quiet]
         (test/run-tests 'elle.list-append-test 'elle.rw-register-test))))
  (doseq [[number {:keys [source ops]}] (map-indexed vector (distinct @caught))]
    (tell source number ops)))

(defn from-file [path]
  (with-open [reader (PushbackReader. (io/reader path))]
    (let [forms (doall (take-while some? (repeatedly #(edn/read {:eof nil :default vector} reader))))
          ops   (if (map? (first forms)) forms (first forms))]
      (tell path 0 (map #(select-keys % [:process :type :value])
                            (filter #(integer? (:process % 0)) ops))))))

(defn from-simulator
  "count histories of a simulated database (:si, :ssi, :prefix, :brat), from the given seed on."
  [database seed length count]
  (require 'jepsen.history.sim)
  (doseq [s (range seed (+ seed count))]
    (tell (str "jepsen.history.sim " database " seed " s) 0
          (:history ((resolve 'jepsen.history.sim/run!)
                     {:db (keyword database) :seed s :limit length :concurrency 5
                      :generator :list-append :key-dist :exponential :key-dist-base 2
                      :key-count 5 :min-txn-length 1 :max-txn-length 4
                      :max-writes-per-key 16})))))

(let [[command & more] *command-line-args*]
  (case command
    "tests" (from-tests)
    "files" (run! from-file more)
    "simulated" (let [[database & numbers] more]
                  (apply from-simulator database (map parse-long numbers))))
  (shutdown-agents))
