# A node of coterie: built, packed and installed as a user would have it, run by nobody in particular.
#
#   docker build -t coterie .
#   docker run --rm -v coterie:/data -p 127.0.0.1:7400:7400 -e COTERIE_LISTEN=0.0.0.0:7400 -e COTERIE_INSECURE=true coterie

FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build \
    && npm pack --ignore-scripts --pack-destination /tmp \
    && mkdir -p /opt/coterie /data \
    && npm install --prefix /opt/coterie --omit=dev --ignore-scripts --no-audit --no-fund /tmp/coterie-*.tgz

FROM node:20-bookworm-slim
COPY --from=build /opt/coterie /opt/coterie
COPY --from=build --chown=node:node /data /data
RUN ln -s /opt/coterie/node_modules/.bin/coterie /usr/local/bin/coterie
ENV NODE_ENV=production \
    COTERIE_DATA=/data \
    COTERIE_ADMIN=127.0.0.1:7500
USER node
VOLUME /data
EXPOSE 7400 7500
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["node", "-e", "fetch('http://127.0.0.1:7500/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Not through npm or a shell: the signal to drain must reach the node.
ENTRYPOINT ["node", "/opt/coterie/node_modules/coterie/dist/src/cli/main.js"]
CMD ["start"]
