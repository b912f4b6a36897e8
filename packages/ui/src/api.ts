/** The REST API as the screens call it. */

/** One complaint about one field. */
export interface Complaint {
  field?: string;
  code: string;
  message: string;
}

/** A refused request: an RFC 9457 problem, or a server that could not be reached (`offline`). */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly errors: Complaint[];

  constructor(status: number, code: string, message: string, errors: Complaint[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }

  /** Nothing came back: no network, or the server is starting. */
  get offline(): boolean {
    return this.code === 'offline';
  }
  /** The complaint about a field, if there is one. */
  about(field: string): string | undefined {
    return this.errors.find((one) => one.field === field)?.message;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

const BASE = '/api/v1';

/** Calls of the API with one `fetch`; every method throws {@link ApiError}. */
export class Api {
  readonly #fetch: typeof fetch;
  /** `audience:company`: everything is answered as those partners would have it. */
  readonly as: string | null;

  constructor(using: typeof fetch, as: string | null = null) {
    this.#fetch = using;
    this.as = as;
  }

  get<T>(path: string, query?: Query): Promise<T> {
    return this.#call<T>('GET', path + queryString(query));
  }
  post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>('POST', path, body, headers);
  }
  /** Sends a file as it is. */
  upload<T>(path: string, file: Blob, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>('POST', path, file, headers);
  }
  patch<T>(path: string, body: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>('PATCH', path, body, headers);
  }
  delete<T = void>(path: string): Promise<T> {
    return this.#call<T>('DELETE', path);
  }

  async #call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    let response: Response;
    try {
      response = await this.#fetch(BASE + path, {
        method,
        credentials: 'same-origin',
        headers: {
          ...(body !== undefined && {
            'content-type': body instanceof Blob ? body.type || 'application/octet-stream' : 'application/json',
          }),
          ...(this.as !== null && { 'kith-as': this.as }),
          ...headers,
        },
        body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      });
    } catch {
      throw new ApiError(0, 'offline', 'The server cannot be reached.');
    }
    if (response.status === 204) return undefined as T;
    const text = await response.text();
    const answer = parse(text);
    if (response.ok) return answer as T;
    const problem = (typeof answer === 'object' && answer !== null ? answer : {}) as {
      code?: string;
      title?: string;
      detail?: string;
      errors?: Complaint[];
    };
    // A proxy in front that finds nobody home answers for us.
    if (!problem.code && [502, 503, 504].includes(response.status)) {
      throw new ApiError(response.status, 'offline', 'The server cannot be reached.');
    }
    throw new ApiError(
      response.status,
      problem.code ?? `http_${response.status}`,
      problem.detail ?? problem.title ?? response.statusText,
      problem.errors ?? [],
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function queryString(query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

/** Whether a thrown thing is an {@link ApiError}. */
export const isApiError = (thrown: unknown): thrown is ApiError => thrown instanceof ApiError;
